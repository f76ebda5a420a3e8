//! What the `ts_*` lane makes of each language's idioms: definitions, calls, imports, documentation.

#![allow(clippy::unwrap_used)]

mod c;
mod go;
mod java;
mod javascript;
mod python;
mod rust;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use lode_facts::extract::{Extractor, FileRequest, GroupOutput, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

fn extract_with(options: &Options, language: Language, source: &[u8], datasets: &[&str]) -> GroupOutput {
    extract_group(options, language, &[source], datasets)
}

fn extract_group(options: &Options, language: Language, sources: &[&[u8]], datasets: &[&str]) -> GroupOutput {
    let meta = FileMeta::in_scope("spec", "file", 0, Some(language));
    let lane = LaneRequest { lane: LaneId::Ts, datasets: datasets.iter().map(|d| (*d).to_owned()).collect() };
    let request = FileRequest { meta, lanes: vec![lane] };
    let mut extractor = Extractor::new(options, &Limits::default());
    for source in sources {
        extractor.extract(&request, Some(source));
    }
    extractor.finish().unwrap()
}

const ALL: &[&str] =
    &["ts_nodes", "ts_errors", "ts_missing", "ts_defs", "ts_calls", "ts_imports", "ts_docstrings", "ts_stats"];

fn extract(language: Language, source: &[u8], datasets: &[&str]) -> GroupOutput {
    let output = extract_with(&Options::default(), language, source, datasets);
    assert_eq!(output.files[0].lanes[0].status, LaneStatus::Extracted);
    output
}

fn table<'a>(output: &'a GroupOutput, name: &str) -> Option<&'a RecordBatch> {
    output.tables.iter().find(|(d, _)| d.name == name).map(|(_, batch)| batch)
}

/// A column as text, with an empty text for null.
fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = cast(batch.column_by_name(column).unwrap(), &DataType::Utf8).unwrap();
    array.as_string::<i32>().iter().map(|v| v.unwrap_or_default().to_owned()).collect()
}

fn ints(batch: &RecordBatch, column: &str) -> Vec<Option<i32>> {
    batch.column_by_name(column).unwrap().as_primitive::<Int32Type>().iter().collect()
}

/// Facts as lines: `kind container.name`, `call callee(arguments)`, `import_kind module: name as asname`,
/// `doc owner "text"`.
fn render(output: &GroupOutput) -> String {
    let mut lines = vec![];
    if let Some(defs) = table(output, "ts_defs") {
        let (kinds, names, containers) = (texts(defs, "def_kind"), texts(defs, "name"), texts(defs, "container"));
        for ((kind, name), container) in kinds.iter().zip(&names).zip(&containers) {
            let dot = if container.is_empty() { "" } else { "." };
            lines.push(format!("{kind} {container}{dot}{name}"));
        }
    }
    if let Some(calls) = table(output, "ts_calls") {
        for (callee, count) in texts(calls, "callee_text").iter().zip(ints(calls, "arg_count")) {
            lines.push(format!("call {callee}({})", count.map_or("?".into(), |c| c.to_string())));
        }
    }
    if let Some(imports) = table(output, "ts_imports") {
        let columns = ["kind", "module", "name", "asname"].map(|c| texts(imports, c));
        for (row, level) in ints(imports, "level").into_iter().enumerate() {
            let [kind, module, name, asname] = &columns;
            let dots = ".".repeat(level.unwrap() as usize);
            let mut line = format!("{} {dots}{}", kind[row], module[row]);
            if !name[row].is_empty() {
                line += &format!(": {}", name[row]);
            }
            if !asname[row].is_empty() {
                line += &format!(" as {}", asname[row]);
            }
            lines.push(line);
        }
    }
    if let Some(docs) = table(output, "ts_docstrings") {
        let (kinds, names) = (texts(docs, "owner_kind"), texts(docs, "owner_name"));
        for (row, text) in texts(docs, "docstring").iter().enumerate() {
            let owner = if names[row].is_empty() { &kinds[row] } else { &names[row] };
            lines.push(format!("doc {owner} {text:?}"));
        }
    }
    lines.join("\n")
}

/// Holds the facts of a source against their expected lines. Facts that are asked for alone must be the same.
fn check(language: Language, source: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let all = extract(language, source.as_bytes(), ALL);
    assert_eq!(render(&all), expected.join("\n"), "{language:?}");
    for (dataset, batch) in &all.tables {
        let alone = extract(language, source.as_bytes(), &[dataset.name]);
        assert_eq!(table(&alone, dataset.name), Some(batch), "{} alone", dataset.name);
    }
    ordinals_name_nodes(&all, source);
}

/// The ordinals of every table lead to nodes with the positions and kinds the table states.
fn ordinals_name_nodes(output: &GroupOutput, source: &str) {
    let nodes = table(output, "ts_nodes").unwrap();
    let (kinds, parents) = (texts(nodes, "kind"), ints(nodes, "parent_ordinal"));
    let (starts, ends) = (ints(nodes, "bstart"), ints(nodes, "bend"));
    for (name, kind) in [("ts_defs", "kind"), ("ts_calls", "kind"), ("ts_missing", "kind"), ("ts_imports", "")] {
        let Some(batch) = table(output, name) else { continue };
        for (row, ordinal) in ints(batch, "node_ordinal").into_iter().enumerate() {
            let ordinal = ordinal.unwrap() as usize;
            assert_eq!(ints(batch, "bstart")[row], starts[ordinal], "{name} {row}");
            assert_eq!(ints(batch, "bend")[row], ends[ordinal], "{name} {row}");
            assert_eq!(ints(batch, "parent_ordinal")[row], parents[ordinal], "{name} {row}");
            if !kind.is_empty() {
                assert_eq!(texts(batch, kind)[row], kinds[ordinal], "{name} {row}");
            }
        }
    }
    if let Some(calls) = table(output, "ts_calls") {
        for (row, ordinal) in ints(calls, "callee_node_ordinal").into_iter().enumerate() {
            let ordinal = ordinal.unwrap() as usize;
            assert_eq!(texts(calls, "callee_kind")[row], kinds[ordinal]);
            let callee = &source[starts[ordinal].unwrap() as usize..ends[ordinal].unwrap() as usize];
            assert!(texts(calls, "callee_text")[row].ends_with(callee));
            assert_eq!(parents[ordinal], ints(calls, "node_ordinal")[row]);
        }
    }
    if let Some(docs) = table(output, "ts_docstrings") {
        for (row, ordinal) in ints(docs, "doc_node_ordinal").into_iter().enumerate() {
            assert_eq!(ints(docs, "bstart")[row], starts[ordinal.unwrap() as usize]);
            let owner = ints(docs, "owner_node_ordinal")[row].unwrap() as usize;
            assert_eq!(texts(docs, "owner_kind")[row], kinds[owner]);
        }
    }
}

#[test]
fn errors_and_missing_nodes_are_rows() {
    let source = "def f(:\n    return 1 +\nx = (1\n";
    let output = extract(Language::Python, source.as_bytes(), ALL);
    ordinals_name_nodes(&output, source);
    let errors = table(&output, "ts_errors").unwrap();
    let stats = table(&output, "ts_stats").unwrap();
    assert_eq!(ints(stats, "error_count"), [Some(errors.num_rows() as i32)]);
    assert!(errors.num_rows() > 0);
    let nodes = table(&output, "ts_nodes").unwrap();
    assert_eq!(ints(stats, "node_count"), [Some(nodes.num_rows() as i32)]);

    let output = extract(Language::C, b"int a = 1", ALL);
    let missing = table(&output, "ts_missing").unwrap();
    assert_eq!(texts(missing, "kind"), [";"]);
    assert_eq!((ints(missing, "bstart"), ints(missing, "bend")), (vec![Some(9)], vec![Some(9)]));
}

#[test]
fn bytes_that_are_no_text_move_nothing() {
    let source = b"a = '\xff'\nb\0 = 2\nc = 3\n";
    let output = extract(Language::Python, source, ALL);
    let said: Vec<_> = output.files[0].diagnostics.iter().map(|d| (d.code.as_str(), d.bstart)).collect();
    assert_eq!(said, [("invalid_utf8", Some(5))]);
    let defs = table(&output, "ts_defs").unwrap();
    let last = defs.num_rows() - 1;
    assert_eq!(texts(defs, "name")[last], "c");
    assert_eq!(ints(defs, "bstart")[last], Some(15));
    let nodes = table(&output, "ts_nodes").unwrap();
    assert!(texts(nodes, "text").iter().any(|t| t == "\u{fffd}"));
}

#[test]
fn utf16_is_said_not_guessed() {
    let source: Vec<u8> = [0xfeff_u16].into_iter().chain("x = 1".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let output = extract(Language::Python, &source, ALL);
    assert_eq!(output.files[0].diagnostics[0].code, "utf16");
    assert!(output.tables.is_empty());
}

#[test]
fn texts_are_bounded() {
    let options = Options { max_text_bytes: 4, max_docstring_bytes: 3, ..Options::default() };
    let source = "def longer():\n    'ééé'\nlonger.called()\n# comment\n";
    let output = extract_with(&options, Language::Python, source.as_bytes(), ALL);
    assert_eq!(texts(table(&output, "ts_docstrings").unwrap(), "docstring"), ["é"]);
    assert_eq!(texts(table(&output, "ts_calls").unwrap(), "callee_text"), ["long"]);
    assert!(texts(table(&output, "ts_nodes").unwrap(), "text").iter().all(|t| t.len() <= 4));
}

#[test]
fn depth_is_no_danger() {
    let depth = 50_000;
    let source = format!("x = {}1{}\n", "(".repeat(depth), ")".repeat(depth));
    let output = extract(Language::Python, source.as_bytes(), ALL);
    assert!(ints(table(&output, "ts_stats").unwrap(), "max_depth")[0].unwrap() as usize >= depth);
}

#[test]
fn ordinals_start_anew_with_each_file() {
    let source = b"import a\ndef f(): g()\n'x' = (\n".as_slice();
    let once = extract(Language::Python, source, ALL);
    let twice = extract_group(&Options::default(), Language::Python, &[source, source], ALL);
    for ((dataset, once), (_, twice)) in once.tables.iter().zip(&twice.tables) {
        let rows = once.num_rows();
        assert_eq!(twice.num_rows(), 2 * rows, "{}", dataset.name);
        assert_eq!([&twice.slice(0, rows), &twice.slice(rows, rows)], [once, once], "{}", dataset.name);
    }
}
