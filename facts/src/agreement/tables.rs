//! The datasets of the `agreement` lane.

use crate::catalog::Scope;
use crate::fact_table;
use crate::lane::LaneId;

fact_table! {
    /// Where two views of a Python file disagree about definitions, calls, imports, docstrings or names: one row a
    /// disagreement. Both sides are aligned by kind and bytes. A file that `ast` refuses is in `ast_errors` and has no rows.
    pub struct Agreement = "agreement", lane: Some(LaneId::Agreement), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's disagreements.
        ordinal: Int32,
        /// `definition`, `call`, `import`, `docstring` or `name`; null where a whole file is refused.
        kind: OptSymbol,
        /// The left view: `ast`.
        left_view: Symbol,
        /// The right view: `rustpython`, a parser that shares no code with the left one; `ts`; `cst`; `symtable`; or
        /// `bytecode`, if an interpreter compiled the file.
        right_view: Symbol,
        /// `only_left` or `only_right`: the other saw nothing there. `name`: same bytes, other name. `end`: same first
        /// byte, other end. `right_refuses`: the right side can't read the file.
        reason: Symbol,
        /// Name on the left: of a definition, of a name, of an import as `module:name as asname`.
        left_name: OptUtf8,
        /// First byte on the left.
        left_bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        left_bend: OptInt32 { unit: "byte, from 0" },
        /// Name on the right.
        right_name: OptUtf8,
        /// First byte on the right.
        right_bstart: OptInt32 { unit: "byte, from 0" },
        /// First byte after it.
        right_bend: OptInt32 { unit: "byte, from 0" },
        /// Why the right side refuses the file, in its own words.
        message: OptUtf8,
        /// Version of the interpreter that compiled, where the right view is `bytecode`.
        python_version: OptSymbol,
    }
}

fact_table! {
    /// How much two views of a Python file were compared: one row a pair of views and kind. The rate of agreement is
    /// the sum of `agreed` over the sum of `compared`.
    pub struct AgreementCounts = "agreement_counts", lane: Some(LaneId::Agreement), scope: Scope::File, key: ["file_id", "ordinal"], default: false {
        /// Position among the file's counts.
        ordinal: Int32,
        /// `definition`, `call`, `import`, `docstring` or `name`.
        kind: Symbol,
        /// The left view.
        left_view: Symbol,
        /// The right view.
        right_view: Symbol,
        /// Things that at least one of the two saw.
        compared: Int32,
        /// Those that both saw alike.
        agreed: Int32,
        /// Version of the interpreter that compiled, where the right view is `bytecode`.
        python_version: OptSymbol,
    }
}
