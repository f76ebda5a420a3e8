//! Statistics of a data file, as Delta's log wants them, from what the Parquet writer gathered.

use arrow::datatypes::{DataType, Schema};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value, json};

/// Columns that get statistics, from the first: as many as Delta takes by default.
const INDEXED_COLUMNS: usize = 32;

/// The statistics as the JSON text of an `add` action. Texts are cut by the Parquet writer, at 64 bytes.
pub(crate) fn delta_stats(metadata: &ParquetMetaData, schema: &Schema) -> String {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields().iter().take(INDEXED_COLUMNS) {
        let columns = metadata
            .row_groups()
            .iter()
            .filter_map(|group| group.columns().iter().find(|c| c.column_path().parts() == [field.name().as_str()]));
        let mut bounds: Option<Bounds> = None;
        let mut missing = false;
        let mut null_count = 0;
        for column in columns {
            let Some(statistics) = column.statistics() else {
                missing = true;
                break;
            };
            null_count += statistics.null_count_opt().unwrap_or_default();
            match Bounds::of(statistics) {
                Some(found) => bounds = Some(bounds.map_or_else(|| found.clone(), |known| known.widen(found.clone()))),
                // A row group of nulls alone has no bounds, and needs none.
                None => missing |= statistics.null_count_opt() != Some(column.num_values() as u64),
            }
        }
        if !missing {
            nulls.insert(field.name().clone(), json!(null_count));
            if let Some((low, high)) = bounds.and_then(|b| b.json(field.data_type())) {
                min.insert(field.name().clone(), low);
                max.insert(field.name().clone(), high);
            }
        }
    }
    let rows = metadata.file_metadata().num_rows();
    json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls }).to_string()
}

#[derive(Clone)]
enum Bounds {
    Integer(i64, i64),
    Text(String, String),
}

impl Bounds {
    fn of(statistics: &Statistics) -> Option<Self> {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        Some(match statistics {
            Statistics::Int32(s) => Self::Integer((*s.min_opt()?).into(), (*s.max_opt()?).into()),
            Statistics::Int64(s) => Self::Integer(*s.min_opt()?, *s.max_opt()?),
            Statistics::ByteArray(s) => Self::Text(text(s.min_opt()?.data())?, text(s.max_opt()?.data())?),
            _ => return None,
        })
    }

    fn widen(self, other: Self) -> Self {
        match (self, other) {
            (Self::Integer(a, b), Self::Integer(c, d)) => Self::Integer(a.min(c), b.max(d)),
            (Self::Text(a, b), Self::Text(c, d)) => Self::Text(a.min(c), b.max(d)),
            (known, _) => known,
        }
    }

    fn json(self, ty: &DataType) -> Option<(Value, Value)> {
        match (self, ty) {
            (Self::Integer(low, high), DataType::Int32 | DataType::Int64) => Some((json!(low), json!(high))),
            (Self::Text(low, high), DataType::Utf8) => Some((json!(low), json!(high))),
            _ => None,
        }
    }
}
