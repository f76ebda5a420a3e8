//! The `agreement` lane: what several views of a Python file see, held against each other by bytes.
//!
//! A view turns a file into [`Sighting`]s. Those of lanes are read off the lanes' own rows, so that what is compared is
//! what users get; `ast` is the left side of every pair.

mod align;
mod rows;
mod tables;
mod witness;

pub use align::{Kind, Reason, Sighting, align};

use crate::ast::AstSession;
use crate::catalog::Dataset;
use crate::columns::Table;
use crate::extract::{Diagnostic, LaneRequest, LaneStatus, Session};
use crate::file::FileMeta;
use crate::fingerprint::tool;
use crate::lane::LaneId;
use crate::language::Language;
use crate::options::Options;
use crate::source::Source;
use crate::ts::TsSession;
use rows::Rows;
use tables::{Agreement, AgreementCounts};

/// Raised by hand whenever the rows of an unchanged file change.
const REVISION: u32 = 1;

/// The datasets of this module.
pub const DATASETS: &[&Dataset] = &[&Agreement::DATASET, &AgreementCounts::DATASET];

/// Whether the lane has something to say about this file.
pub fn accepts(file: &FileMeta) -> bool {
    crate::ast::accepts(file)
}

/// What the rows depend on.
pub fn fingerprint(options: &Options) -> String {
    let views = [
        crate::ast::fingerprint(options),
        crate::ts::fingerprint(options, Language::Python),
        tool(witness::NAME, witness::VERSION),
    ];
    format!("{REVISION} {}", views.join("\0"))
}

/// A view of a file: what it saw, or why it can't read it.
type Seen = Result<Vec<Sighting>, String>;

/// The lane at work.
pub struct AgreementSession {
    ast: AstSession,
    ts: TsSession,
    agreement: Agreement,
    counts: AgreementCounts,
}

impl AgreementSession {
    /// With these options.
    pub fn new(options: &Options) -> Self {
        Self {
            ast: AstSession::new(options),
            ts: TsSession::new(options),
            agreement: Agreement::default(),
            counts: AgreementCounts::default(),
        }
    }
}

/// The rows a lane has of a file, one entry a dataset. What it says besides, it says as a lane of its own.
fn rows_of<const N: usize>(
    session: &mut dyn Session,
    lane: LaneId,
    datasets: [&str; N],
    file: &Source<'_>,
) -> [Rows; N] {
    let request = LaneRequest { lane, datasets: datasets.iter().map(|name| (*name).to_owned()).collect() };
    session.extract(file, &request, &mut vec![]);
    let mut tables = session.tables();
    datasets.map(|name| {
        let table = tables.iter_mut().find(|table| table.dataset().name == name).expect("a lane has its tables");
        Rows::new(table.finish())
    })
}

impl Session for AgreementSession {
    fn extract(&mut self, file: &Source<'_>, request: &LaneRequest, _: &mut Vec<Diagnostic>) -> LaneStatus {
        if !file.has_content() {
            return LaneStatus::Failed {
                reason: "unreadable".into(),
                message: "the file's content is not there".into(),
            };
        }
        let Ok(module) = file.python() else { return LaneStatus::Extracted };
        let ast = ["ast_nodes", "ast_defs", "ast_calls", "ast_imports", "ast_docstrings"];
        let rows = rows_of(&mut self.ast, LaneId::Ast, ast, file);
        if rows[0].is_empty() {
            // Too deep for CPython.
            return LaneStatus::Extracted;
        }
        let mut left = rows::of_ast(&rows);
        left.sort();
        let ts = ["ts_defs", "ts_calls", "ts_imports", "ts_docstrings"];
        let ts = rows::of_ts(&rows_of(&mut self.ts, LaneId::Ts, ts, file));
        let views: [(&'static str, &[Kind], Seen); 2] = [
            ("rustpython", &Kind::ALL, witness::sightings(module)),
            // A concrete syntax tree has identifiers, and doesn't say which are names.
            ("ts", &[Kind::Definition, Kind::Call, Kind::Import, Kind::Docstring], Ok(ts)),
        ];
        let mut writer = Writer {
            agreement: request.wants(&Agreement::DATASET).then_some(&mut self.agreement),
            counts: request.wants(&AgreementCounts::DATASET).then_some(&mut self.counts),
            rows: 0,
            count_rows: 0,
        };
        for (view, kinds, seen) in views {
            match seen {
                Ok(mut right) => {
                    right.sort();
                    kinds
                        .iter()
                        .for_each(|kind| writer.compare(*kind, of_kind(&left, *kind), view, of_kind(&right, *kind)));
                }
                Err(why) => writer.row(None, view, Reason::RightRefuses, [None, None], Some(&why)),
            }
        }
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

/// The wanted tables, and the rows they have of the file at hand.
struct Writer<'t> {
    agreement: Option<&'t mut Agreement>,
    counts: Option<&'t mut AgreementCounts>,
    rows: i32,
    count_rows: i32,
}

impl Writer<'_> {
    fn compare(&mut self, kind: Kind, left: &[Sighting], view: &'static str, right: &[Sighting]) {
        let (agreed, found) = align(left, right);
        if let Some(table) = self.counts.as_deref_mut() {
            table.ordinal.push(self.count_rows);
            table.kind.push(kind.name());
            table.left_view.push("ast");
            table.right_view.push(view);
            table.compared.push((agreed + found.len()) as i32);
            table.agreed.push(agreed as i32);
            self.count_rows += 1;
        }
        for (reason, left, right) in found {
            self.row(Some(kind), view, reason, [left, right], None);
        }
    }

    fn row(
        &mut self,
        kind: Option<Kind>,
        view: &'static str,
        reason: Reason,
        [left, right]: [Option<&Sighting>; 2],
        message: Option<&str>,
    ) {
        let Some(table) = self.agreement.as_deref_mut() else { return };
        let name = |sighting: Option<&Sighting>| sighting.map(|s| s.name.clone()).filter(|name| !name.is_empty());
        table.ordinal.push(self.rows);
        table.kind.push(kind.map(Kind::name));
        table.left_view.push("ast");
        table.right_view.push(view);
        table.reason.push(reason.code());
        table.left_name.push(name(left).as_deref());
        table.left_bstart.push(left.map(|s| s.bstart));
        table.left_bend.push(left.map(|s| s.bend));
        table.right_name.push(name(right).as_deref());
        table.right_bstart.push(right.map(|s| s.bstart));
        table.right_bend.push(right.map(|s| s.bend));
        table.message.push(message);
        self.rows += 1;
    }
}
