//! Tables: one builder a column.

use arrow::array::RecordBatch;

use crate::catalog::Dataset;

/// A table under construction: one builder a column of its dataset.
pub trait Table {
    /// The dataset it fills.
    fn dataset(&self) -> &'static Dataset;
    /// Rows so far.
    fn rows(&self) -> usize;
    /// Forgets all rows from `rows` on, also of a row that was only half pushed.
    fn truncate(&mut self, rows: usize);
    /// Bytes held by the values.
    fn bytes(&self) -> usize;
    /// Takes the rows out, leaving the table empty.
    fn finish(&mut self) -> RecordBatch;
}

/// Declares a table: the struct of builders that fills it and its entry in the catalog, from one text.
///
/// The type of a column is one of the builders of [`crate::columns`]; `{ unit: "…", source: "…" }` is optional.
///
/// ```ignore
/// fact_table! {
///     /// One row a statement.
///     pub struct Statements = "statements", lane: Some(LaneId::Ast), scope: Scope::File, key: ["file_id", "ordinal"], default: true {
///         /// Position in the file.
///         ordinal: Int32,
///         /// First byte.
///         bstart: Int32 { unit: "byte" },
///     }
/// }
/// ```
#[macro_export]
macro_rules! fact_table {
    (
        $(#[doc = $doc:literal])+
        pub struct $table:ident = $name:literal, lane: $lane:expr, scope: $scope:expr, key: [$($key:literal),+], default: $default:literal {
            $( $(#[doc = $cdoc:literal])+ $column:ident : $builder:ident $({ $($meta:ident : $value:literal),+ })? ),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        #[allow(missing_docs)]
        pub struct $table { $( pub $column: $crate::columns::$builder ),+ }

        impl $table {
            /// Its entry in the catalog.
            pub const DATASET: $crate::catalog::Dataset = $crate::catalog::Dataset {
                name: $name,
                lane: $lane,
                scope: $scope,
                doc: concat!($($doc, "\n"),+),
                columns: &[ $(
                    $crate::catalog::Column::new(
                        stringify!($column),
                        <$crate::columns::$builder as $crate::columns::Typed>::TYPE,
                        <$crate::columns::$builder as $crate::columns::Typed>::NULLABLE,
                        concat!($($cdoc, "\n"),+),
                    )$($(.$meta($value))+)?
                ),+ ],
                key: &[$($key),+],
                default: $default,
            };
        }

        impl $crate::columns::Table for $table {
            fn dataset(&self) -> &'static $crate::catalog::Dataset {
                static DATASET: $crate::catalog::Dataset = $table::DATASET;
                &DATASET
            }
            fn rows(&self) -> usize {
                [$( $crate::columns::Builder::len(&self.$column) ),+].into_iter().min().unwrap_or(0)
            }
            fn truncate(&mut self, rows: usize) {
                $( $crate::columns::Builder::truncate(&mut self.$column, rows); )+
            }
            fn bytes(&self) -> usize {
                0 $( + $crate::columns::Builder::bytes(&self.$column) )+
            }
            fn finish(&mut self) -> ::arrow::array::RecordBatch {
                let columns = vec![ $( $crate::columns::Builder::finish(&mut self.$column) ),+ ];
                ::arrow::array::RecordBatch::try_new(self.dataset().sent_schema(), columns)
                    .expect("every row of a table pushes every column")
            }
        }
    };
}
