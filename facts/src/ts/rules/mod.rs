//! What the nodes of each language mean: which define, call, import and document something. Rules are data that the
//! walk looks up by a node's kind, and so cost nothing on all other nodes; a query engine would look at each of them.

mod c;
mod ecmascript;
mod go;
mod java;
mod python;
mod rust;

pub use c::{C, CPP};
pub use ecmascript::{JAVASCRIPT, TYPESCRIPT};
pub use go::GO;
pub use java::JAVA;
pub use python::PYTHON;
pub use rust::RUST;

use tree_sitter::Node;

use super::imports::Importer;

/// What a definition defines, in words shared by all languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DefKind {
    Class,
    Constant,
    Constructor,
    Enum,
    Field,
    Function,
    Interface,
    Macro,
    Method,
    Module,
    Prototype,
    Struct,
    Trait,
    Type,
    Union,
    Variable,
    Variant,
}

impl DefKind {
    /// Name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Constant => "constant",
            Self::Constructor => "constructor",
            Self::Enum => "enum",
            Self::Field => "field",
            Self::Function => "function",
            Self::Interface => "interface",
            Self::Macro => "macro",
            Self::Method => "method",
            Self::Module => "module",
            Self::Prototype => "prototype",
            Self::Struct => "struct",
            Self::Trait => "trait",
            Self::Type => "type",
            Self::Union => "union",
            Self::Variable => "variable",
            Self::Variant => "variant",
        }
    }

    /// What its inside is, for what opens a scope.
    pub fn scope(self) -> Option<ScopeKind> {
        match self {
            Self::Class | Self::Enum | Self::Interface | Self::Struct | Self::Trait | Self::Union | Self::Variant => {
                Some(ScopeKind::Type)
            }
            Self::Module => Some(ScopeKind::Module),
            Self::Constructor | Self::Function | Self::Method => Some(ScopeKind::Function),
            Self::Constant | Self::Field | Self::Macro | Self::Prototype | Self::Type | Self::Variable => None,
        }
    }
}

/// What surrounds a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeKind {
    /// A file or a namespace.
    Module,
    /// A type: functions are methods, variables are fields.
    Type,
    /// Code that runs: variables are local.
    Function,
}

/// Where the name of a definition is found.
#[derive(Debug, Clone, Copy)]
pub enum Name {
    /// The named children in this field.
    Field(&'static str),
    /// The names bound by the pattern in this field.
    Pattern(&'static str),
    /// What the C declarators in this field declare.
    Declarators(&'static str),
    /// The child in this field, or the last part of a path; what is in front of it is the container.
    Path(&'static str),
    /// The first leaf below this field.
    Leaf(&'static str),
    /// The last named child.
    LastChild,
    /// The node itself.
    Itself,
}

/// When a node defines something.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// Always.
    Always,
    /// Outside functions.
    NotLocal,
    /// Outside functions, where the parent starts with this word.
    NotLocalAfter(&'static str),
    /// With something in this field.
    Has(&'static str),
    /// With one of these kinds in this field.
    Is(&'static str, &'static [&'static str]),
    /// Below a parent of this kind.
    Below(&'static str),
    /// Directly inside such a scope.
    Inside(ScopeKind),
}

/// A definition.
#[derive(Debug, Clone, Copy)]
pub struct Def {
    /// Kind of the node.
    pub node: &'static str,
    /// What it defines.
    pub kind: DefKind,
    /// What it defines directly inside a type.
    pub member: DefKind,
    /// What it defines where the declarator is a function's: outside types, and directly inside one.
    pub callable: Option<(DefKind, DefKind)>,
    /// Its name.
    pub name: Name,
    /// When it does.
    pub when: When,
    /// Field with the type it belongs to.
    pub receiver: Option<&'static str>,
}

/// A definition named by its field `name`.
pub const fn def(node: &'static str, kind: DefKind) -> Def {
    Def { node, kind, member: kind, callable: None, name: Name::Field("name"), when: When::Always, receiver: None }
}

impl Def {
    /// What it is directly inside a type.
    pub const fn member(mut self, kind: DefKind) -> Self {
        self.member = kind;
        self
    }

    /// What it is where the declarator is a function's: outside types, and directly inside one.
    pub const fn callable(mut self, kind: DefKind, member: DefKind) -> Self {
        self.callable = Some((kind, member));
        self
    }

    /// Where its name is.
    pub const fn named(mut self, name: Name) -> Self {
        self.name = name;
        self
    }

    /// When it defines.
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Field with the type it belongs to.
    pub const fn receiver(mut self, field: &'static str) -> Self {
        self.receiver = Some(field);
        self
    }
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Kind of the node.
    pub node: &'static str,
    /// Field of what is called.
    pub callee: &'static str,
    /// Field of what stands in front of the callee, where that is no part of it.
    pub object: Option<&'static str>,
    /// Field of the arguments.
    pub arguments: &'static str,
}

/// A call with the arguments in the field `arguments`.
pub const fn call(node: &'static str, callee: &'static str) -> Call {
    Call { node, callee, object: None, arguments: "arguments" }
}

impl Call {
    /// Field of what stands in front of the callee.
    pub const fn object(mut self, field: &'static str) -> Self {
        self.object = Some(field);
        self
    }
}

/// A node that imports, and how to read it.
pub type Import = (&'static str, for<'a> fn(&mut Importer<'a>, &Node<'_>));

/// How a language documents its definitions.
#[derive(Debug, Clone, Copy)]
pub enum Docs {
    /// With a string at the head of the body.
    String,
    /// With comments in front.
    Comments(DocComments),
}

/// Documentation comments.
#[derive(Debug, Clone, Copy)]
pub struct DocComments {
    /// Starts of line comments that document what follows.
    pub line: &'static [&'static str],
    /// Starts of block comments that document what follows.
    pub block: &'static [&'static str],
    /// Starts of comments that document what they stand in.
    pub inner: &'static [&'static str],
    /// Whether an empty line parts a comment from what follows.
    pub adjacent: bool,
    /// Nodes that may stand between a comment and its owner.
    pub between: &'static [&'static str],
    /// Nodes that hand a comment on to the definition they hold.
    pub wrappers: &'static [&'static str],
}

/// The rules of a language.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Definitions; the first that holds counts.
    pub defs: &'static [&'static [Def]],
    /// Nodes without a name of their own whose inside belongs to the type in a field.
    pub extensions: &'static [(&'static str, &'static str)],
    /// Nodes without a name whose inside is local.
    pub closures: &'static [&'static str],
    /// Calls.
    pub calls: &'static [Call],
    /// Imports.
    pub imports: &'static [Import],
    /// Kinds of comments.
    pub comments: &'static [&'static str],
    /// Documentation.
    pub docs: Docs,
}
