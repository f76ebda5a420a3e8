//! Grammars, and the rules of their languages by the numbers of node kinds.

use std::num::NonZeroU16;

use super::rules::{self, Call, Def, DocComments, Docs, Import, Name, Rules, When};
use crate::language::Language;

/// A grammar that is built in.
pub struct Spec {
    /// Language it reads.
    pub language: Language,
    /// Name of the crate.
    pub name: &'static str,
    /// Version of the crate.
    pub version: &'static str,
    function: fn() -> tree_sitter::Language,
    rules: &'static Rules,
}

const fn spec(
    language: Language,
    name: &'static str,
    version: &'static str,
    function: fn() -> tree_sitter::Language,
    rules: &'static Rules,
) -> Spec {
    Spec { language, name, version, function, rules }
}

/// Version of the parser.
pub const PARSER_VERSION: &str = "0.26.13";

/// Every grammar.
pub const SPECS: &[Spec] = &[
    spec(Language::Python, "tree-sitter-python", "0.25.0", || tree_sitter_python::LANGUAGE.into(), &rules::PYTHON),
    spec(Language::Rust, "tree-sitter-rust", "0.24.2", || tree_sitter_rust::LANGUAGE.into(), &rules::RUST),
    spec(
        Language::JavaScript,
        "tree-sitter-javascript",
        "0.25.0",
        || tree_sitter_javascript::LANGUAGE.into(),
        &rules::JAVASCRIPT,
    ),
    spec(
        Language::TypeScript,
        "tree-sitter-typescript",
        "0.23.2",
        || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        &rules::TYPESCRIPT,
    ),
    spec(
        Language::Tsx,
        "tree-sitter-typescript",
        "0.23.2",
        || tree_sitter_typescript::LANGUAGE_TSX.into(),
        &rules::TYPESCRIPT,
    ),
    spec(Language::Go, "tree-sitter-go", "0.25.0", || tree_sitter_go::LANGUAGE.into(), &rules::GO),
    spec(Language::Java, "tree-sitter-java", "0.23.5", || tree_sitter_java::LANGUAGE.into(), &rules::JAVA),
    spec(Language::C, "tree-sitter-c", "0.24.2", || tree_sitter_c::LANGUAGE.into(), &rules::C),
    spec(Language::Cpp, "tree-sitter-cpp", "0.23.4", || tree_sitter_cpp::LANGUAGE.into(), &rules::CPP),
];

/// The grammar of a language, if there is one.
pub fn find(language: Language) -> Option<&'static Spec> {
    SPECS.iter().find(|s| s.language == language)
}

/// Number of a field.
pub type FieldId = NonZeroU16;

/// A rule with its fields as numbers.
pub struct DefRule {
    /// The rule.
    pub def: &'static Def,
    /// Field of the name.
    pub name: Option<FieldId>,
    /// Field of the condition.
    pub condition: Option<FieldId>,
    /// Field of the receiver.
    pub receiver: Option<FieldId>,
}

/// A rule with its fields as numbers.
pub struct CallRule {
    /// Field of what is called.
    pub callee: Option<FieldId>,
    /// Field of what stands in front.
    pub object: Option<FieldId>,
    /// Field of the arguments.
    pub arguments: Option<FieldId>,
}

/// What nodes of a kind mean.
#[derive(Debug, Clone, Copy, Default)]
pub struct Role {
    /// Whether they mean anything.
    pub any: bool,
    /// First and end of their rules of definition.
    pub defs: (u16, u16),
    /// Their rule of calls.
    pub call: Option<u16>,
    /// Their reader of imports.
    pub import: Option<u16>,
    /// Field of the type their inside belongs to.
    pub extension: Option<FieldId>,
    /// Whether their inside is local.
    pub closure: bool,
    /// Whether they are comments.
    pub comment: bool,
    /// Whether they may stand between documentation and its owner.
    pub between: bool,
    /// Whether they hand documentation on to what they hold.
    pub wrapper: bool,
}

/// The number of nodes of text that the parser could not use.
pub const ERROR: u16 = u16::MAX;

/// A grammar ready for use.
pub struct Grammar {
    /// What it is.
    pub spec: &'static Spec,
    /// The grammar itself.
    pub language: tree_sitter::Language,
    /// Documentation of its language.
    pub docs: &'static Docs,
    defs: Vec<DefRule>,
    calls: Vec<CallRule>,
    imports: Vec<Import>,
    kinds: Vec<&'static str>,
    /// Whether the grammar names the nodes of a kind.
    named: Vec<bool>,
    fields: Vec<&'static str>,
    roles: Vec<Role>,
}

impl Grammar {
    /// Looks up every kind and field the rules name.
    pub fn new(spec: &'static Spec) -> Self {
        let language = (spec.function)();
        let count = language.node_kind_count() as u16;
        let kinds: Vec<&'static str> = (0..count).map(|id| language.node_kind_for_id(id).unwrap_or("")).collect();
        let fields = (0..=language.field_count() as u16).map(|id| language.field_name_for_id(id).unwrap_or(""));
        let mut grammar = Self {
            spec,
            docs: &spec.rules.docs,
            defs: vec![],
            calls: vec![],
            imports: spec.rules.imports.to_vec(),
            kinds,
            named: (0..count).map(|id| language.node_kind_is_named(id)).collect(),
            fields: fields.collect(),
            roles: vec![Role::default(); count as usize],
            language,
        };
        grammar.add_defs(spec.rules);
        for (index, call) in spec.rules.calls.iter().enumerate() {
            grammar.calls.push(grammar.call_rule(call));
            grammar.mark(call.node, |role| role.call = Some(index as u16));
        }
        for (index, (kind, _)) in spec.rules.imports.iter().enumerate() {
            grammar.mark(kind, |role| role.import = Some(index as u16));
        }
        for (kind, field) in spec.rules.extensions {
            let field = grammar.field(field);
            grammar.mark(kind, |role| role.extension = field);
        }
        grammar.mark_all(spec.rules.closures, |role| role.closure = true);
        grammar.mark_all(spec.rules.comments, |role| role.comment = true);
        if let Docs::Comments(DocComments { between, wrappers, .. }) = spec.rules.docs {
            grammar.mark_all(between, |role| role.between = true);
            grammar.mark_all(wrappers, |role| role.wrapper = true);
        }
        grammar
    }

    /// The rules of one kind of node lie next to each other, in the order they are written in.
    fn add_defs(&mut self, rules: &Rules) {
        let all: Vec<&'static Def> = rules.defs.iter().copied().flatten().collect();
        for (index, def) in all.iter().enumerate() {
            if all[..index].iter().any(|d| d.node == def.node) {
                continue;
            }
            let start = self.defs.len() as u16;
            let compiled: Vec<DefRule> =
                all[index..].iter().filter(|d| d.node == def.node).map(|d| self.def_rule(d)).collect();
            self.defs.extend(compiled);
            let end = self.defs.len() as u16;
            self.mark(def.node, |role| role.defs = (start, end));
        }
    }

    fn def_rule(&self, def: &'static Def) -> DefRule {
        let name = match def.name {
            Name::Field(field)
            | Name::Pattern(field)
            | Name::Declarators(field)
            | Name::Path(field)
            | Name::Leaf(field) => self.field(field),
            Name::LastChild | Name::Itself => None,
        };
        let condition = match def.when {
            When::Has(field) | When::Is(field, _) => self.field(field),
            When::Always | When::NotLocal | When::NotLocalAfter(_) | When::Below(_) | When::Inside(_) => None,
        };
        DefRule { def, name, condition, receiver: def.receiver.and_then(|field| self.field(field)) }
    }

    fn call_rule(&self, call: &Call) -> CallRule {
        let field = |name| self.field(name);
        CallRule { callee: field(call.callee), object: call.object.and_then(field), arguments: field(call.arguments) }
    }

    fn field(&self, name: &str) -> Option<FieldId> {
        self.language.field_id_for_name(name)
    }

    /// A kind can have several numbers.
    fn mark(&mut self, kind: &str, set: impl Fn(&mut Role)) {
        for id in 0..self.kinds.len() {
            if self.kinds[id] == kind && self.named[id] {
                self.roles[id].any = true;
                set(&mut self.roles[id]);
            }
        }
    }

    fn mark_all(&mut self, kinds: &[&str], set: impl Fn(&mut Role)) {
        for kind in kinds {
            self.mark(kind, &set);
        }
    }

    /// Name of a kind of nodes. The number of `ERROR` is none of the grammar's.
    #[inline]
    pub fn kind(&self, id: u16) -> &'static str {
        self.kinds.get(id as usize).copied().unwrap_or("ERROR")
    }

    /// Whether the grammar names nodes of a kind; `ERROR` is always named.
    #[inline]
    pub fn is_named(&self, id: u16) -> bool {
        self.named.get(id as usize).copied().unwrap_or(id == ERROR)
    }

    /// Name of a field.
    #[inline]
    pub fn field_name(&self, id: FieldId) -> &'static str {
        self.fields.get(id.get() as usize).copied().unwrap_or("")
    }

    /// What nodes of a kind mean.
    #[inline]
    pub fn role(&self, id: u16) -> Role {
        self.roles.get(id as usize).copied().unwrap_or_default()
    }

    /// The rules of definition of a role.
    pub fn defs(&self, role: Role) -> &[DefRule] {
        &self.defs[role.defs.0 as usize..role.defs.1 as usize]
    }

    /// A rule of calls.
    pub fn call(&self, index: u16) -> &CallRule {
        &self.calls[index as usize]
    }

    /// A reader of imports.
    pub fn import(&self, index: u16) -> Import {
        self.imports[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_kinds_and_fields_of_their_grammar() {
        for spec in SPECS {
            let grammar = Grammar::new(spec);
            let rules = spec.rules;
            let mut kinds: Vec<&str> = rules.defs.iter().copied().flatten().map(|d| d.node).collect();
            kinds.extend(rules.calls.iter().map(|c| c.node));
            kinds.extend(rules.imports.iter().map(|(kind, _)| *kind));
            kinds.extend(rules.extensions.iter().map(|(kind, _)| *kind));
            kinds.extend(rules.closures.iter().chain(rules.comments).copied());
            if let Docs::Comments(docs) = rules.docs {
                kinds.extend(docs.between.iter().chain(docs.wrappers).copied());
            }
            for def in rules.defs.iter().copied().flatten() {
                match def.when {
                    When::Is(_, values) => kinds.extend(values),
                    When::Below(kind) => kinds.push(kind),
                    _ => {}
                }
            }
            for kind in kinds {
                assert_ne!(grammar.language.id_for_node_kind(kind, true), 0, "{}: no kind {kind}", spec.name);
            }
            for rule in &grammar.defs {
                assert!(
                    rule.name.is_some() || matches!(rule.def.name, Name::LastChild | Name::Itself),
                    "{}: the name of {} lies in no field",
                    spec.name,
                    rule.def.node
                );
                assert_eq!(rule.condition.is_some(), matches!(rule.def.when, When::Has(_) | When::Is(..)));
                assert_eq!(rule.receiver.is_some(), rule.def.receiver.is_some());
            }
            for (rule, call) in grammar.calls.iter().zip(rules.calls) {
                assert!(rule.callee.is_some(), "{}: no field {}", spec.name, call.callee);
                assert_eq!(rule.object.is_some(), call.object.is_some());
            }
        }
    }

    #[test]
    fn versions_are_those_that_are_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        let grammars = SPECS.iter().map(|s| (s.name, s.version));
        for (name, version) in grammars.chain([("tree-sitter", PARSER_VERSION)]) {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name} is not at {version}");
        }
    }
}
