//! Tasks that only the scheduler of the run can have made.
//!
//! Ballista starts the server that takes tasks by itself and leaves no room for a check in front of it. But the root of
//! every task is an extension operator (the shuffle writer), and an executor runs nothing else: so a codec that asks for
//! the token in front of every extension operator is a check that no task gets around.

use std::sync::Arc;

use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::proto_decode::PhysicalExprDecodeCtx;
use datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use crate::wire::Token;

/// Puts a token in front of every extension operator, and refuses to read one without it.
#[derive(Debug)]
pub(crate) struct Sealed {
    inner: Arc<dyn PhysicalExtensionCodec>,
    token: Token,
}

impl Sealed {
    pub(crate) fn new(inner: Arc<dyn PhysicalExtensionCodec>, token: Token) -> Self {
        Self { inner, token }
    }
}

impl PhysicalExtensionCodec for Sealed {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match buf.split_at_checked(self.token.expose().len()) {
            Some((token, rest)) if self.token.equals(token) => self.inner.try_decode(rest, inputs, ctx, converter),
            _ => plan_err!("the plan carries no token of this run"),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        // A codec may look at what it has written, so it gets a buffer of its own.
        let mut inner = Vec::new();
        self.inner.try_encode(node, &mut inner, converter)?;
        buf.extend_from_slice(self.token.expose().as_bytes());
        buf.append(&mut inner);
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.inner.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udf(node, buf)
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.inner.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_expr(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn PhysicalExpr>],
        ctx: &PhysicalExprDecodeCtx<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        self.inner.try_decode_expr(buf, inputs, ctx)
    }

    fn try_encode_expr(
        &self,
        node: &Arc<dyn PhysicalExpr>,
        buf: &mut Vec<u8>,
        ctx: &PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        self.inner.try_encode_expr(node, buf, ctx)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.inner.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udaf(node, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.inner.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.inner.try_encode_udwf(node, buf)
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::BallistaPhysicalExtensionCodec;
    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion_proto::physical_plan::DefaultPhysicalProtoConverter;

    use super::*;

    /// Knows one operator, which it writes as nothing at all.
    #[derive(Debug)]
    struct Nothing;

    impl PhysicalExtensionCodec for Nothing {
        fn try_decode(
            &self,
            _buf: &[u8],
            _inputs: &[Arc<dyn ExecutionPlan>],
            _ctx: &TaskContext,
            _converter: &dyn PhysicalProtoConverterExtension,
        ) -> Result<Arc<dyn ExecutionPlan>> {
            Ok(Arc::new(EmptyExec::new(Arc::new(Schema::empty()))))
        }

        fn try_encode(
            &self,
            _node: Arc<dyn ExecutionPlan>,
            _buf: &mut Vec<u8>,
            _converter: &dyn PhysicalProtoConverterExtension,
        ) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_the_same_token_opens_a_plan() {
        let (ctx, converter) = (TaskContext::default(), DefaultPhysicalProtoConverter {});
        let sealed = Sealed::new(Arc::new(Nothing), Token::random());
        let plan: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(Schema::empty())));
        let mut written = Vec::new();
        sealed.try_encode(plan, &mut written, &converter).unwrap();
        assert!(sealed.try_decode(&written, &[], &ctx, &converter).is_ok());

        let stranger = Sealed::new(Arc::new(BallistaPhysicalExtensionCodec::default()), Token::random());
        for (codec, bytes) in [(&stranger, written.as_slice()), (&sealed, b""), (&sealed, &written[1..])] {
            let error = codec.try_decode(bytes, &[], &ctx, &converter).unwrap_err();
            assert!(error.to_string().contains("token"), "{error}");
        }
    }
}
