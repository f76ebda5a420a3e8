//! `lode tables` and `lode describe`.

use clap::Args;
use lode_facts::catalog::{Column, ColumnType, Dataset, Scope, dataset, datasets};
use lode_facts::views::{VIEWS, View, view};
use lode_lake::Lake;
use lode_lake::snapshot::Snapshot;
use serde_json::{Value, json};

use super::query::PinArgs;
use super::{Failure, Outcome, Output, datasets as choice, text};
use crate::report::{bytes, count};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lode tables --lake lake\n  lode tables                 (what Lode can fill, without a lake)"
)]
pub(super) struct TablesArgs {
    /// Directory or URL of the lake
    #[arg(long, value_name = "DIR|URL", env = "LODE_LAKE", hide_env_values = true)]
    lake: Option<String>,
    #[command(flatten)]
    pin: PinArgs,
    /// Form of the list
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

/// What is known of a table from its log alone.
struct Size {
    version: i64,
    files: u64,
    bytes: u64,
    rows: Option<u64>,
}

pub(super) async fn tables(args: TablesArgs) -> Outcome {
    let Some(location) = &args.lake else { return catalog(args.output) };
    let lake = Lake::open(location).await?;
    let snapshot = Snapshot::pin(&lake, args.pin.pin()).await?;
    let mut found = vec![];
    for dataset in datasets() {
        if let Some(size) = size(&snapshot, dataset).await? {
            found.push((*dataset, size));
        }
    }
    let readable = |view: &&View| view.reads.iter().all(|table| found.iter().any(|(known, _)| known.name == *table));
    let views: Vec<&View> = VIEWS.iter().filter(readable).collect();
    if args.output == Output::Json {
        let object = |(dataset, size): &(&Dataset, Size)| {
            json!({
                "table": dataset.name,
                "version": size.version,
                "files": size.files,
                "bytes": size.bytes,
                "rows": size.rows,
                "doc": first_sentence(dataset.doc),
            })
        };
        let views = views.into_iter().map(view_object);
        return text::print_json(&found.iter().map(object).chain(views).collect::<Vec<Value>>());
    }
    if found.is_empty() {
        text::note("the lake has no tables yet\nhint: lode extract <path> --lake <lake> fills them");
    }
    let row = |(dataset, size): &(&Dataset, Size)| {
        vec![
            dataset.name.to_owned(),
            size.rows.map_or_else(|| "-".to_owned(), count),
            size.version.to_string(),
            count(size.files),
            bytes(size.bytes),
            first_sentence(dataset.doc),
        ]
    };
    let view = |view: &View| {
        let [rows, version, files, bytes] = ["-", "view", "-", "-"].map(str::to_owned);
        vec![view.name.to_owned(), rows, version, files, bytes, first_sentence(view.doc)]
    };
    let rows: Vec<_> = found.iter().map(row).chain(views.into_iter().map(view)).collect();
    text::print(&text::columns(&["table", "rows", "version", "files", "bytes", "what a row is"], &rows))
}

/// A view in a list of tables, for machines.
fn view_object(view: &View) -> Value {
    json!({ "table": view.name, "view_of": view.reads, "doc": first_sentence(view.doc) })
}

async fn size(snapshot: &Snapshot, dataset: &Dataset) -> Result<Option<Size>, Failure> {
    let Some(table) = snapshot.table(dataset.name).await? else { return Ok(None) };
    let state = table.snapshot().map_err(|e| Failure::new(format!("can't read table `{}`", dataset.name), e))?;
    let version = table.version().and_then(|version| i64::try_from(version).ok()).unwrap_or(0);
    let mut size = Size { version, files: 0, bytes: 0, rows: Some(0) };
    for file in state.log_data().iter() {
        size.files += 1;
        size.bytes += u64::try_from(file.size()).unwrap_or(0);
        size.rows = size.rows.zip(file.num_records()).map(|(sum, rows)| sum + rows as u64);
    }
    Ok(Some(size))
}

fn catalog(output: Output) -> Outcome {
    if output == Output::Json {
        let object = |dataset: &&Dataset| {
            json!({
                "table": dataset.name,
                "lane": dataset.lane.map(|lane| lane.name()),
                "default": dataset.default,
                "doc": first_sentence(dataset.doc),
            })
        };
        let views = VIEWS.iter().map(view_object);
        return text::print_json(&datasets().iter().map(object).chain(views).collect::<Vec<Value>>());
    }
    let row = |dataset: &&Dataset| {
        let filled = match (dataset.lane, dataset.default) {
            (None, _) => "always",
            (Some(_), true) => "by default",
            (Some(_), false) => "on request",
        };
        vec![dataset.name.to_owned(), filled.to_owned(), first_sentence(dataset.doc)]
    };
    let view = |view: &View| vec![view.name.to_owned(), "view".to_owned(), first_sentence(view.doc)];
    let rows: Vec<_> = datasets().iter().map(row).chain(VIEWS.iter().map(view)).collect();
    text::print(&text::columns(&["table", "filled", "what a row is"], &rows))
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lode describe repo_files")]
pub(super) struct DescribeArgs {
    /// The table
    table: String,
    /// Accepted so that the commands of a lake look alike; the catalog is in the program
    #[arg(long, value_name = "DIR|URL", hide = true)]
    lake: Option<String>,
    /// Form of the description
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Output,
}

pub(super) async fn describe(args: DescribeArgs) -> Outcome {
    if let Some(view) = view(&args.table) {
        return match args.output {
            Output::Text => text::print(&describe_view(view)),
            Output::Json => text::print_json(&describe_view_json(view)),
        };
    }
    let dataset = by_name(&args.table)?;
    match args.output {
        Output::Text => text::print(&describe_text(dataset)),
        Output::Json => text::print_json(&describe_json(dataset)),
    }
}

/// The dataset of that name.
pub(super) fn by_name(name: &str) -> Result<&'static Dataset, Failure> {
    dataset(name).ok_or_else(|| {
        if let Some(view) = view(name) {
            return Failure::usage(format!("`{name}` is a view"))
                .hint(format!("it reads {}: name one of them", view.reads.join(" and ")));
        }
        let names = datasets().iter().map(|dataset| dataset.name).chain(VIEWS.iter().map(|view| view.name));
        let names: Vec<&str> = names.collect();
        let near = choice::near(name, &names);
        let hint = if near.is_empty() { String::new() } else { format!("did you mean {}? ", near.join(" or ")) };
        Failure::usage(format!("no table is called `{name}`")).hint(format!("{hint}`lode tables` lists all"))
    })
}

fn describe_text(dataset: &Dataset) -> String {
    let mut out = format!("{}\n{}\n", dataset.name, paragraph(dataset.doc));
    let belongs = match dataset.scope {
        Scope::File => "a file",
        Scope::Run => "a run",
        Scope::Repo => "a repository",
    };
    out.push_str(&format!("\nkey: {}\nrows belong to: {belongs}\n", dataset.key.join(", ")));
    if let Some(lane) = dataset.lane {
        let default = if dataset.default { "by default" } else { "on request" };
        out.push_str(&format!("filled by: lane {}, {default}\n", lane.name()));
    }
    out.push('\n');
    out.push_str(&columns_text(dataset.table_columns()));
    out
}

fn columns_text<'c>(columns: impl Iterator<Item = &'c Column>) -> String {
    let row = |column: &Column| {
        let mut meaning = paragraph(column.doc);
        if let Some(source) = column.source {
            meaning.push_str(&format!(" [source: {source}]"));
        }
        vec![
            column.name.to_owned(),
            type_name(column.ty).to_owned(),
            if column.nullable { "yes" } else { "no" }.to_owned(),
            column.unit.unwrap_or("").to_owned(),
            meaning,
        ]
    };
    text::columns(&["column", "type", "null", "unit", "meaning"], &columns.map(row).collect::<Vec<_>>())
}

fn describe_view(view: &View) -> String {
    let View { name, doc, columns, key, reads, sql } = view;
    let (key, reads, columns) = (key.join(", "), reads.join(", "), columns_text(columns.iter()));
    format!(
        "{name}\n{doc}\n\nkey: {key}\nview of: {reads}\n\n{columns}\nThe query, for readers other than Lode:\n\n{sql}\n"
    )
}

fn describe_view_json(view: &View) -> Value {
    json!({
        "table": view.name,
        "doc": view.doc,
        "key": view.key,
        "view_of": view.reads,
        "sql": view.sql,
        "columns": columns_json(view.columns.iter(), view.key),
    })
}

fn columns_json<'c>(columns: impl Iterator<Item = &'c Column>, key: &[&str]) -> Vec<Value> {
    let column = |column: &Column| {
        json!({
            "name": column.name,
            "type": type_name(column.ty),
            "nullable": column.nullable,
            "key": key.contains(&column.name),
            "unit": column.unit,
            "source": column.source,
            "doc": paragraph(column.doc),
        })
    };
    columns.map(column).collect()
}

fn describe_json(dataset: &Dataset) -> Value {
    json!({
        "table": dataset.name,
        "doc": paragraph(dataset.doc),
        "key": dataset.key,
        "lane": dataset.lane.map(|lane| lane.name()),
        "default": dataset.default,
        "columns": columns_json(dataset.table_columns(), dataset.key),
    })
}

/// SQL's name of a type.
fn type_name(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Int32 => "integer",
        ColumnType::Int64 => "bigint",
        ColumnType::Boolean => "boolean",
        ColumnType::Utf8 | ColumnType::Symbol | ColumnType::Words => "text",
        ColumnType::Binary => "binary",
        ColumnType::Utf8List => "list<text>",
        ColumnType::Int64List => "list<bigint>",
        ColumnType::Timestamp => "timestamp (UTC)",
    }
}

fn first_sentence(doc: &str) -> String {
    let text = paragraph(doc);
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

/// A doc comment as one paragraph.
fn paragraph(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_all_the_catalog_knows() {
        insta::assert_snapshot!(describe_text(by_name("shards").unwrap()));
    }

    #[test]
    fn a_view_brings_its_query() {
        insta::assert_snapshot!(describe_view(view("dim_qualified_names").unwrap()));
        let error = by_name("dim_qualified_names").unwrap_err();
        assert!(error.advice().unwrap().contains("cst_defs"));
    }

    #[test]
    fn every_table_can_be_described() {
        for dataset in datasets() {
            let text = describe_text(dataset);
            for column in dataset.table_columns() {
                assert!(text.contains(column.name), "{}.{}", dataset.name, column.name);
            }
        }
    }
}
