//! The `agreement` lane: what several views of a Python file see, held against each other by bytes.
//!
//! A view turns a file into [`Sighting`]s. Those of lanes are read off the lanes' own rows, so that what is compared is
//! what users get; `ast` is the left side of every pair. What a view can be asked about, and what each side leaves out
//! for it, is told in `docs/AGREEMENT.md`.

mod align;
mod compiled;
mod rows;
mod tables;
mod views;
mod witness;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use align::{Kind, Reason, Sighting, align};

use crate::ast::AstSession;
use crate::bytecode::{BytecodeSession, Compiled, Interpreter};
use crate::catalog::Dataset;
use crate::columns::Table;
use crate::cst::CstSession;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session};
use crate::file::FileMeta;
use crate::fingerprint::tool;
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::source::Source;
use crate::symtable::SymtableSession;
use crate::ts::TsSession;
use rows::Rows;
use tables::{Agreement, AgreementCounts};
use views::Ast;

/// Raised by hand whenever the rows of an unchanged file change.
const REVISION: u32 = 2;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[&Agreement::DATASET, &AgreementCounts::DATASET];

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    crate::ast::accepts(file)
}

/// What the rows depend on.
pub fn fingerprint(options: &Options) -> String {
    let mut views = vec![
        crate::ast::fingerprint(options),
        // Nothing that is compared depends on the package root.
        crate::cst::fingerprint(options, ""),
        crate::symtable::fingerprint(options),
        crate::ts::fingerprint(options, Language::Python),
        tool(witness::NAME, witness::VERSION),
    ];
    if !options.interpreters.is_empty() {
        views.push(crate::bytecode::fingerprint(options));
    }
    format!("{REVISION} {}", views.join("\0"))
}

/// What a view saw of a file, or why it can't read it.
type Seen = Result<Vec<Sighting>, String>;

/// A view, and what of `ast` it is held against.
struct View<'l> {
    name: &'static str,
    /// Version of the interpreter that compiled.
    version: Option<&'static str>,
    kinds: &'static [Kind],
    left: Cow<'l, [Sighting]>,
    right: Seen,
}

/// The lane at work.
pub struct AgreementSession {
    options: Options,
    /// Versions of the interpreters.
    versions: Vec<&'static str>,
    ast: AstSession,
    cst: CstSession,
    symtable: SymtableSession,
    bytecode: BytecodeSession,
    ts: TsSession,
    agreement: Agreement,
    counts: AgreementCounts,
}

impl AgreementSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        let versions = options.interpreters.iter().map(Interpreter::kept_version);
        Self {
            options: options.clone(),
            versions: versions.collect(),
            ast: AstSession::new(options),
            cst: CstSession::new(options),
            symtable: SymtableSession::new(options),
            bytecode: BytecodeSession::new(options),
            ts: TsSession::new(options),
            agreement: Agreement::default(),
            counts: AgreementCounts::default(),
        }
    }

    /// What all views but bytecode see.
    fn views<'l>(&mut self, file: &Source<'_>, ast: &Ast, left: &'l [Sighting]) -> Result<Vec<View<'l>>, LaneStatus> {
        let view = |name, kinds, left: Cow<'l, [Sighting]>, right| View { name, version: None, kinds, left, right };
        let mut views = vec![];
        if let Ok(module) = file.python() {
            views.push(view("rustpython", &Kind::ALL, left.into(), witness::sightings(module)));
        }
        let ts = ["ts_defs", "ts_calls", "ts_imports", "ts_docstrings"];
        let ts = views::of_ts(&rows_of(&mut self.ts, LaneId::Ts, ts, file)?);
        // A concrete syntax tree has identifiers, and doesn't say which are names.
        views.push(view("ts", &[Kind::Definition, Kind::Call, Kind::Import, Kind::Docstring], left.into(), Ok(ts)));
        let cst = ["cst_defs", "cst_callsites", "cst_imports", "cst_docstrings", "cst_refs", "cst_parse_errors"];
        let [defs, calls, imports, docstrings, refs, errors] = rows_of(&mut self.cst, LaneId::Cst, cst, file)?;
        let with = ast.names_of_with();
        let names = left.iter().filter(|s| s.kind != Kind::Name || !with.contains(&(s.bstart, s.bend)));
        let cst = match errors.first_text("message") {
            Some(message) => Err(message),
            None => Ok(views::of_cst(&[defs, calls, imports, docstrings, refs])),
        };
        views.push(view("cst", &Kind::ALL, names.cloned().collect(), cst));
        let symtable = ["symtable_scopes", "symtable_resolutions", "symtable_errors"];
        let [scopes, resolutions, errors] = rows_of(&mut self.symtable, LaneId::Symtable, symtable, file)?;
        let symtable = match errors.first_text("message") {
            Some(message) => Err(message),
            None => Ok(views::of_symtable(&[scopes, resolutions], file.bytes(), &ast.heads())),
        };
        let mut names: Vec<Sighting> = left.iter().filter(|s| s.kind != Kind::Import).cloned().collect();
        names.extend(ast.bound_imports());
        views.push(view("symtable", &[Kind::Definition, Kind::Import, Kind::Name], names.into(), symtable));
        Ok(views)
    }

    /// What the code of each interpreter shows that can be held against this tree.
    fn compiled<'l>(&mut self, file: &Source<'_>, ast: &Ast, left: &[Sighting]) -> Result<Vec<View<'l>>, LaneStatus> {
        if file.compiled().is_empty() {
            return Ok(vec![]);
        }
        if let Some(status) = file.compiled().iter().find_map(|compiled| match compiled {
            Compiled::Broken(status) => Some(status.clone()),
            _ => None,
        }) {
            return Err(status);
        }
        let tables = ["bytecode_code_units", "bytecode_consts", "bytecode_instructions", "bytecode_errors"];
        let rows = rows_of(&mut self.bytecode, LaneId::Bytecode, tables, file)?;
        let binders = ast.spans_of(views::BINDERS);
        let optimize = self.options.optimize;
        let kinds: &'static [Kind] =
            if optimize < 2 { &Kind::ALL } else { &[Kind::Definition, Kind::Call, Kind::Import, Kind::Name] };
        let mut views = vec![];
        for (version, python) in self.versions.iter().zip(&self.options.interpreters) {
            let minor = python.opcodes().map_or(0, |table| table.minor);
            if !compiled::is_comparable(minor, self.options.python_version) {
                continue;
            }
            let [units, consts, instructions, errors] =
                rows.each_ref().map(|rows| rows.only("python_version", &[version]));
            let right = match errors.first_text("message") {
                Some(message) => Err(message),
                None => Ok(compiled::sightings(&[units, consts, instructions], file.bytes(), &binders)),
            };
            let empty = BTreeSet::new();
            let left = compiled::of_ast(ast, left, right.as_ref().unwrap_or(&empty), optimize);
            let right = right.map(|seen| seen.into_iter().collect());
            views.push(View { name: "bytecode", version: Some(version), kinds, left: left.into(), right });
        }
        Ok(views)
    }
}

/// The rows a lane has of a file, one entry a dataset. What it says besides, it says as a lane of its own.
fn rows_of<const N: usize>(
    session: &mut dyn Session,
    lane: LaneId,
    datasets: [&str; N],
    file: &Source<'_>,
) -> Result<[Rows; N], LaneStatus> {
    let request = LaneRequest { lane, datasets: datasets.iter().map(|name| (*name).to_owned()).collect() };
    let status = session.extract(file, &request, &mut vec![]);
    let mut tables = session.tables();
    let rows = datasets.map(|name| {
        let table = tables.iter_mut().find(|table| table.dataset().name == name).expect("a lane has its tables");
        Rows::new(table.finish())
    });
    if status == LaneStatus::Extracted { Ok(rows) } else { Err(status) }
}

impl Session for AgreementSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, _: &mut Vec<Diagnostic>) -> LaneStatus {
        if !file.has_content() {
            return LaneStatus::Failed {
                reason: "unreadable".into(),
                message: "the file's content is not there".into(),
            };
        }
        if file.python().is_err() {
            return LaneStatus::Extracted;
        }
        let ast = ["ast_nodes", "ast_defs", "ast_calls", "ast_imports", "ast_docstrings"];
        let ast = match rows_of(&mut self.ast, LaneId::Ast, ast, file) {
            Ok(rows) => Ast(rows),
            Err(status) => return status,
        };
        if ast.0[0].is_empty() {
            // Too deep for CPython.
            return LaneStatus::Extracted;
        }
        let mut left = ast.sightings();
        left.sort();
        let views = self.views(file, &ast, &left).and_then(|mut views| {
            views.extend(self.compiled(file, &ast, &left)?);
            Ok(views)
        });
        let views = match views {
            Ok(views) => views,
            Err(status) => return status,
        };
        let mut writer = Writer {
            agreement: request.wants(&Agreement::DATASET).then_some(&mut self.agreement),
            counts: request.wants(&AgreementCounts::DATASET).then_some(&mut self.counts),
            rows: 0,
            count_rows: 0,
        };
        views.into_iter().for_each(|view| writer.view(view));
        LaneStatus::Extracted
    }

    fn tables(&mut self) -> Vec<&mut dyn Table> {
        vec![&mut self.agreement, &mut self.counts]
    }
}

/// The stretch of one kind, of sorted sightings.
fn of_kind(sightings: &[Sighting], kind: Kind) -> &[Sighting] {
    let start = sightings.partition_point(|sighting| sighting.kind < kind);
    let end = sightings.partition_point(|sighting| sighting.kind <= kind);
    &sightings[start..end]
}

/// A view, and the version of the interpreter that compiled for it.
type Place = (&'static str, Option<&'static str>);

/// The wanted tables, and the rows they have of the file at hand.
struct Writer<'t> {
    agreement: Option<&'t mut Agreement>,
    counts: Option<&'t mut AgreementCounts>,
    rows: i32,
    count_rows: i32,
}

impl Writer<'_> {
    fn view(&mut self, view: View<'_>) {
        let View { name, version, kinds, left, right } = view;
        let place = (name, version);
        match right {
            Ok(mut right) => {
                let mut left = left.into_owned();
                left.sort();
                right.sort();
                kinds.iter().for_each(|kind| self.compare(*kind, of_kind(&left, *kind), place, of_kind(&right, *kind)));
            }
            Err(why) => self.row(None, place, Reason::RightRefuses, [None, None], Some(&why)),
        }
    }

    fn compare(&mut self, kind: Kind, left: &[Sighting], place: Place, right: &[Sighting]) {
        let (agreed, found) = align(left, right);
        if let Some(table) = self.counts.as_deref_mut() {
            table.ordinal.push(self.count_rows);
            table.kind.push(kind.name());
            table.left_view.push("ast");
            table.right_view.push(place.0);
            table.compared.push((agreed + found.len()) as i32);
            table.agreed.push(agreed as i32);
            table.python_version.push(place.1);
            self.count_rows += 1;
        }
        for (reason, left, right) in found {
            self.row(Some(kind), place, reason, [left, right], None);
        }
    }

    fn row(
        &mut self,
        kind: Option<Kind>,
        place: Place,
        reason: Reason,
        [left, right]: [Option<&Sighting>; 2],
        message: Option<&str>,
    ) {
        let Some(table) = self.agreement.as_deref_mut() else { return };
        let name = |sighting: Option<&Sighting>| sighting.map(|s| s.name.clone()).filter(|name| !name.is_empty());
        table.ordinal.push(self.rows);
        table.kind.push(kind.map(Kind::name));
        table.left_view.push("ast");
        table.right_view.push(place.0);
        table.reason.push(reason.code());
        table.left_name.push(name(left).as_deref());
        table.left_bstart.push(left.map(|s| s.bstart));
        table.left_bend.push(left.map(|s| s.bend));
        table.right_name.push(name(right).as_deref());
        table.right_bstart.push(right.map(|s| s.bstart));
        table.right_bend.push(right.map(|s| s.bend));
        table.message.push(message);
        table.python_version.push(place.1);
        self.rows += 1;
    }
}
