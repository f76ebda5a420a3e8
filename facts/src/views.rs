//! Views: datasets that are queries over tables, and lie nowhere.
//!
//! A view has rows of many files at once, so it could not be replaced file by file. `lode query` knows views like tables;
//! other readers run their query, which is written in words that DataFusion and DuckDB share.

use crate::catalog::{Column, ColumnType};

/// One view.
#[derive(Debug)]
pub struct View {
    /// Name, without version suffix.
    pub name: &'static str,
    /// What a row is.
    pub doc: &'static str,
    /// Columns in order.
    pub columns: &'static [Column],
    /// Columns that identify a row.
    pub key: &'static [&'static str],
    /// The tables it reads. It is there where all of them are.
    pub reads: &'static [&'static str],
    /// The query.
    pub sql: &'static str,
}

/// Every view, by name.
pub const VIEWS: &[View] = &[DIM_QUALIFIED_NAMES, PYTHON_EXTENSIONS];

/// The view of that name.
pub fn view(name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.name == name)
}

const DIM_QUALIFIED_NAMES: View = View {
    name: "dim_qualified_names",
    doc: "Fully qualified names: one row a name that some call of `callsite_qname_candidates` may call, or that some \
          definition of `cst_defs` has. A name that several files or repositories know is one row.",
    columns: &[
        Column::new("qname_id", ColumnType::Utf8, false, "Stable id of the name: `qname:` and the name's MD5 in hex."),
        Column::new("qname", ColumnType::Utf8, false, "Fully qualified name.")
            .source("libcst.metadata.FullyQualifiedNameProvider"),
    ],
    key: &["qname"],
    reads: &["callsite_qname_candidates", "cst_defs"],
    sql: "\
SELECT 'qname:' || md5(qname) AS qname_id, qname
FROM (
    SELECT qname FROM callsite_qname_candidates
    UNION
    SELECT unnest(def_fqns) AS qname FROM cst_defs
) AS names
WHERE qname IS NOT NULL",
};

const PYTHON_EXTENSIONS: View = View {
    name: "python_extensions",
    doc: "File name extensions that make a file Python: one row a repository, extension and source. Files without an \
          extension are Python by their name or their `#!` line, and in `repo_files` alone.",
    columns: &[
        Column::new("repo", ColumnType::Utf8, false, "Repository."),
        Column::new("extension", ColumnType::Utf8, false, "Extension in lower case, with its dot."),
        Column::new(
            "source",
            ColumnType::Utf8,
            false,
            "`default`: Lode takes every such file for Python; `shebang`: only files with a `#!` line that says so, of \
             which the repository has some.",
        ),
    ],
    key: &["repo", "extension", "source"],
    reads: &["repo_files"],
    sql: "\
SELECT repo, extension, 'default' AS source
FROM (SELECT DISTINCT repo FROM repo_files) AS repos
CROSS JOIN (SELECT '.py' AS extension UNION ALL SELECT '.pyi' UNION ALL SELECT '.pyw') AS known
UNION ALL
SELECT DISTINCT repo, extension, 'shebang' AS source
FROM (
    SELECT repo, '.' || lower(reverse(split_part(reverse(name), '.', 1))) AS extension
    FROM (
        SELECT repo, reverse(split_part(reverse(path), '/', 1)) AS name
        FROM repo_files
        WHERE language = 'python'
    ) AS files
    WHERE name LIKE '%.%'
) AS found
WHERE extension NOT IN ('.py', '.pyi', '.pyw')",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::dataset;
    use crate::language::Language;

    #[test]
    fn views_read_tables_and_share_no_name_with_one() {
        for view in VIEWS {
            assert!(dataset(view.name).is_none(), "{}", view.name);
            assert!(view.reads.iter().all(|table| dataset(table).is_some()), "{}", view.name);
            assert!(view.key.iter().all(|key| view.columns.iter().any(|column| column.name == *key)), "{}", view.name);
        }
        assert!(VIEWS.is_sorted_by_key(|view| view.name));
    }

    #[test]
    fn the_known_extensions_are_those_of_the_language() {
        let listed = |list: &str| -> Vec<String> { list.split('\'').skip(1).step_by(2).map(str::to_owned).collect() };
        let (_, excluded) = PYTHON_EXTENSIONS.sql.rsplit_once("NOT IN").unwrap();
        let known = PYTHON_EXTENSIONS.sql.lines().find(|line| line.starts_with("CROSS JOIN")).unwrap();
        let of_language: Vec<String> = Language::Python.extensions().map(|extension| format!(".{extension}")).collect();
        assert_eq!(listed(excluded), of_language);
        assert_eq!(listed(known), of_language);
    }
}
