//! What must hold of the plan codecs for any bytes: a message from anywhere is a node or an error.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::Schema;
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{DefaultPhysicalProtoConverter, PhysicalExtensionCodec};
use lode_plan::codec::{LogicalCodec, PhysicalCodec};
use lode_plan::nodes::JobSpec;

static CONTEXT: LazyLock<SessionContext> = LazyLock::new(SessionContext::new);

/// Decodes bytes as every kind of message, with and without the mark of Lode's own.
pub fn decode(bytes: &[u8]) {
    let context = CONTEXT.task_ctx();
    let table = TableReference::bare("t");
    for message in [bytes.to_vec(), [b"lode\x01", bytes].concat()] {
        let _ = LogicalCodec::default().try_decode(&message, &[], &context);
        let schema = Arc::new(Schema::empty());
        let _ = LogicalCodec::default().try_decode_table_provider(&message, &table, schema, &context);
        let _ = PhysicalCodec::default().try_decode(&message, &[], &context, &DefaultPhysicalProtoConverter {});
    }
    if let Ok(spec) = JobSpec::decode(bytes) {
        assert_eq!(JobSpec::decode(&spec.encode()).expect("what was written can be read"), spec);
    }
}
