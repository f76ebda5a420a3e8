//! How Lode's nodes travel; everything else goes through Ballista's codecs.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, Extension, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::{Deserialize, Serialize};

use crate::commit::CommitExec;
use crate::extract::ExtractExec;
use crate::functions::FactsExec;
use crate::functions::FactsTable;
use crate::nodes::{CommitNode, ExtractNode, JobSpec};
use crate::worklist::WorklistTable;

/// Opens every message of ours, so that it is never taken for one of Ballista's.
const MAGIC: &[u8] = b"lode\x01";

#[derive(Serialize, Deserialize)]
enum Node {
    Extract(JobSpec),
    Commit(JobSpec),
    Facts(FactsTable),
}

#[derive(Serialize, Deserialize)]
enum Provider {
    Worklist(WorklistTable),
    Facts(FactsTable),
}

fn write(value: &impl Serialize, buf: &mut Vec<u8>) -> Result<()> {
    buf.extend_from_slice(MAGIC);
    serde_json::to_writer(buf, value).map_err(|e| DataFusionError::External(Box::new(e)))
}

fn read<'a, T: Deserialize<'a>>(buf: &'a [u8]) -> Option<Result<T>> {
    let json = buf.strip_prefix(MAGIC)?;
    Some(serde_json::from_slice(json).map_err(|e| {
        DataFusionError::Plan(format!(
            "a node of this plan can't be read: {e}; was it made by another version of lode?"
        ))
    }))
}

fn only<T: Clone>(inputs: &[T]) -> Result<T> {
    match inputs {
        [input] => Ok(input.clone()),
        _ => Err(DataFusionError::Plan(format!("a node of lode has one input, not {}", inputs.len()))),
    }
}

/// Codec of logical plans.
#[derive(Debug, Default)]
pub struct LogicalCodec(BallistaLogicalExtensionCodec);

impl LogicalExtensionCodec for LogicalCodec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        match read::<Node>(buf).transpose()? {
            Some(Node::Extract(spec)) => Ok(Extension { node: Arc::new(ExtractNode::new(only(inputs)?, spec)) }),
            Some(Node::Commit(spec)) => Ok(Extension { node: Arc::new(CommitNode::new(only(inputs)?, spec)) }),
            Some(Node::Facts(_)) => Err(DataFusionError::Plan("facts are a table, not a logical node".into())),
            None => self.0.try_decode(buf, inputs, ctx),
        }
    }

    fn try_encode(&self, extension: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        let node = extension.node.as_any();
        if let Some(extract) = node.downcast_ref::<ExtractNode>() {
            return write(&Node::Extract(extract.spec.clone()), buf);
        }
        if let Some(commit) = node.downcast_ref::<CommitNode>() {
            return write(&Node::Commit(commit.spec.clone()), buf);
        }
        self.0.try_encode(extension, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match read::<Provider>(buf).transpose()? {
            Some(Provider::Worklist(worklist)) => Ok(Arc::new(worklist)),
            Some(Provider::Facts(facts)) => Ok(Arc::new(facts)),
            None => self.0.try_decode_table_provider(buf, table, schema, ctx),
        }
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let any = node.as_ref() as &dyn std::any::Any;
        if let Some(worklist) = any.downcast_ref::<WorklistTable>() {
            return write(&Provider::Worklist(worklist.clone()), buf);
        }
        if let Some(facts) = any.downcast_ref::<FactsTable>() {
            return write(&Provider::Facts(facts.clone()), buf);
        }
        self.0.try_encode_table_provider(table, node, buf)
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.0.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.0.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.0.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_udf(node, buf)
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.0.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.0.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_udaf(node, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.0.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_udwf(node, buf)
    }
}

/// Codec of physical plans.
#[derive(Debug, Default)]
pub struct PhysicalCodec(BallistaPhysicalExtensionCodec);

impl PhysicalExtensionCodec for PhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match read::<Node>(buf).transpose()? {
            Some(Node::Extract(spec)) => Ok(Arc::new(ExtractExec::new(only(inputs)?, Arc::new(spec)))),
            Some(Node::Commit(spec)) => Ok(Arc::new(CommitExec::new(only(inputs)?, Arc::new(spec)))),
            Some(Node::Facts(table)) => Ok(Arc::new(FactsExec::new(table)?)),
            None => self.0.try_decode(buf, inputs, ctx, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(extract) = node.downcast_ref::<ExtractExec>() {
            return write(&Node::Extract(extract.spec().clone()), buf);
        }
        if let Some(commit) = node.downcast_ref::<CommitExec>() {
            return write(&Node::Commit(commit.spec().clone()), buf);
        }
        if let Some(facts) = node.downcast_ref::<FactsExec>() {
            return write(&Node::Facts(facts.table().clone()), buf);
        }
        self.0.try_encode(node, buf, converter)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        self.0.try_decode_udf(name, buf)
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_udf(node, buf)
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.0.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        self.0.try_decode_udaf(name, buf)
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_udaf(node, buf)
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.0.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode_udwf(node, buf)
    }
}
