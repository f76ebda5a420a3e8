//! Scopes and what is assigned in them, by the rules of LibCST's `ScopeProvider`.
//!
//! They are not CPython's: an access sees the assignments that come before it in the text, assignments behind it only
//! through an enclosing scope; a comprehension keeps what `:=` assigns in it; a class is visible from the annotation
//! scopes directly below it alone.

use ruff_python_ast::Alias;
use rustc_hash::FxHashMap;

use super::builtins::is_builtin;

/// Index of a scope.
pub(super) type ScopeId = u32;
/// Index of a name.
pub(super) type NameId = u32;

/// The module's scope.
pub(super) const GLOBAL: ScopeId = 0;
const NONE: u32 = u32::MAX;

/// LibCST's class of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopeKind {
    Global,
    Function,
    Class,
    Comprehension,
    Annotation,
}

impl ScopeKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Global => "GlobalScope",
            Self::Function => "FunctionScope",
            Self::Class => "ClassScope",
            Self::Comprehension => "ComprehensionScope",
            Self::Annotation => "AnnotationScope",
        }
    }
}

/// One scope.
#[derive(Debug)]
pub(super) struct Scope<'t> {
    pub(super) kind: ScopeKind,
    pub(super) parent: ScopeId,
    /// Name of the function or class.
    pub(super) name: Option<&'t str>,
    /// What qualified names of its own assignments start with.
    pub(super) prefix: Box<str>,
    /// Assignments so far, which orders accesses and assignments.
    pub(super) count: u32,
    /// Whether `global` or `nonlocal` was said.
    redirects: bool,
}

/// An `import` or `from … import` statement.
#[derive(Debug)]
pub(super) struct ImportStatement<'t> {
    /// Leading dots and module; empty for `import`.
    pub(super) module: String,
    pub(super) aliases: &'t [Alias],
}

/// An import that assigns a name.
#[derive(Debug, Clone, Copy)]
struct ImportAssignment {
    statement: u32,
    index: u32,
    /// The one before it, of the same name in the same scope.
    previous: u32,
}

/// All assignments of one name in one scope.
#[derive(Debug, Clone, Copy)]
struct Assignments {
    /// Index of the first that is no import; later ones of them add nothing to a qualified name.
    first_local: u32,
    last_import: u32,
}

/// What a name resolves to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Assignments in a scope.
    In(ScopeId),
    Builtin,
    Nothing,
}

/// What a name can stand for: what its qualified names are made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Referents {
    /// A scope in which the name is assigned by something else than an import.
    pub(super) local: Option<ScopeId>,
    /// Import statements.
    pub(super) imports: Vec<u32>,
    pub(super) builtin: bool,
}

impl Referents {
    fn clear(&mut self) {
        self.local = None;
        self.imports.clear();
        self.builtin = false;
    }

    fn is_empty(&self) -> bool {
        self.local.is_none() && self.imports.is_empty() && !self.builtin
    }
}

/// The scopes of a file.
#[derive(Debug)]
pub(super) struct Scopes<'t> {
    scopes: Vec<Scope<'t>>,
    ids: FxHashMap<&'t str, NameId>,
    /// By [`NameId`].
    names: Vec<&'t str>,
    /// By [`NameId`].
    builtin: Vec<bool>,
    assignments: FxHashMap<(ScopeId, NameId), Assignments>,
    imports: Vec<ImportAssignment>,
    statements: Vec<ImportStatement<'t>>,
    redirected: FxHashMap<(ScopeId, NameId), ScopeId>,
    /// By [`NameId`]: whether it starts the name of a dotted import.
    dotted_root: Vec<bool>,
    minor: u8,
}

impl<'t> Scopes<'t> {
    /// The module's scope alone, with the builtins of Python 3.`minor`.
    pub(super) fn new(minor: u8) -> Self {
        let global = Scope {
            kind: ScopeKind::Global,
            parent: GLOBAL,
            name: None,
            prefix: "".into(),
            count: 0,
            redirects: false,
        };
        Self {
            scopes: vec![global],
            ids: FxHashMap::default(),
            names: vec![],
            builtin: vec![],
            assignments: FxHashMap::default(),
            imports: vec![],
            statements: vec![],
            redirected: FxHashMap::default(),
            dotted_root: vec![],
            minor,
        }
    }

    pub(super) fn get(&self, scope: ScopeId) -> &Scope<'t> {
        &self.scopes[scope as usize]
    }

    pub(super) fn statement(&self, statement: u32) -> &ImportStatement<'t> {
        &self.statements[statement as usize]
    }

    /// Opens a scope.
    pub(super) fn open(&mut self, kind: ScopeKind, parent: ScopeId, name: Option<&'t str>) -> ScopeId {
        let outer = &self.scopes[parent as usize].prefix;
        let join = |parts: &[&str]| {
            let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
            parts.join(".").into_boxed_str()
        };
        let prefix = match kind {
            ScopeKind::Global | ScopeKind::Annotation => outer.clone(),
            ScopeKind::Function => join(&[outer, name.unwrap_or_default(), "<locals>"]),
            ScopeKind::Class => join(&[outer, name.unwrap_or_default()]),
            ScopeKind::Comprehension => join(&[outer, "<comprehension>"]),
        };
        self.scopes.push(Scope { kind, parent, name, prefix, count: 0, redirects: false });
        self.scopes.len() as ScopeId - 1
    }

    /// One more assignment is complete.
    pub(super) fn count(&mut self, scope: ScopeId) {
        self.scopes[scope as usize].count += 1;
    }

    /// The id of a name.
    #[inline]
    pub(super) fn name(&mut self, name: &'t str) -> NameId {
        let next = self.builtin.len() as NameId;
        let id = *self.ids.entry(name).or_insert(next);
        if id == next {
            self.names.push(name);
            self.dotted_root.push(false);
            self.builtin.push(is_builtin(name, self.minor));
        }
        id
    }

    /// The text of a name.
    pub(super) fn text(&self, name: NameId) -> &'t str {
        self.names[name as usize]
    }

    /// The id of a name that was seen.
    pub(super) fn known(&self, name: &str) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    /// `global name`.
    pub(super) fn declare_global(&mut self, scope: ScopeId, name: NameId) {
        self.redirect(scope, name, GLOBAL);
    }

    /// `nonlocal name`.
    pub(super) fn declare_nonlocal(&mut self, scope: ScopeId, name: NameId) {
        self.redirect(scope, name, self.get(scope).parent);
    }

    fn redirect(&mut self, scope: ScopeId, name: NameId, target: ScopeId) {
        if scope != GLOBAL {
            self.scopes[scope as usize].redirects = true;
            self.redirected.insert((scope, name), target);
        }
    }

    fn redirection(&self, scope: ScopeId, name: NameId) -> Option<ScopeId> {
        if self.get(scope).redirects { self.redirected.get(&(scope, name)).copied() } else { None }
    }

    /// The scope at or above `first` that can be seen from a scope below it.
    fn visible(&self, from: ScopeId, first: ScopeId) -> ScopeId {
        let from = self.get(from);
        let mut at = first;
        while self.get(at).kind == ScopeKind::Class && !(from.kind == ScopeKind::Annotation && from.parent == at) {
            at = self.get(at).parent;
        }
        at
    }

    fn target(&self, scope: ScopeId, name: NameId) -> ScopeId {
        let mut at = scope;
        while let Some(scope) = self.redirection(at, name) {
            at = self.visible(at, scope);
        }
        at
    }

    /// Records an assignment and tells in which scope it is one.
    #[inline]
    pub(super) fn assign(&mut self, scope: ScopeId, name: NameId) -> ScopeId {
        let target = self.target(scope, name);
        let index = self.get(target).count;
        let entry = self.assignments.entry((target, name));
        let entry = entry.or_insert(Assignments { first_local: NONE, last_import: NONE });
        entry.first_local = entry.first_local.min(index);
        target
    }

    /// Records an import statement.
    pub(super) fn import(&mut self, module: String, aliases: &'t [Alias]) -> u32 {
        self.statements.push(ImportStatement { module, aliases });
        self.statements.len() as u32 - 1
    }

    /// Records that an import statement assigns a name, which can be dotted.
    pub(super) fn assign_import(&mut self, scope: ScopeId, name: &'t str, statement: u32) {
        let id = self.name(name);
        if let Some((root, _)) = name.split_once('.') {
            let root = self.name(root);
            self.dotted_root[root as usize] = true;
        }
        let target = self.target(scope, id);
        let index = self.get(target).count;
        let entry = self.assignments.entry((target, id));
        let entry = entry.or_insert(Assignments { first_local: NONE, last_import: NONE });
        self.imports.push(ImportAssignment { statement, index, previous: entry.last_import });
        entry.last_import = self.imports.len() as u32 - 1;
    }

    /// Whether a dotted name with this start is imported anywhere in the file.
    pub(super) fn is_dotted_root(&self, name: NameId) -> bool {
        self.dotted_root[name as usize]
    }

    fn outermost(&self, name: NameId) -> Found {
        if self.builtin[name as usize] { Found::Builtin } else { Found::Nothing }
    }

    /// Where a name is found when it is looked up in `scope` on behalf of `from`.
    fn resolve(&self, name: NameId, scope: ScopeId, from: ScopeId) -> Found {
        let mut at = scope;
        loop {
            if let Some(target) = self.redirection(at, name) {
                at = self.visible(from, target);
            } else if self.assignments.contains_key(&(at, name)) {
                return Found::In(at);
            } else if at == GLOBAL {
                return self.outermost(name);
            } else {
                at = self.visible(from, self.get(at).parent);
            }
        }
    }

    /// Whether a name is known in a scope. Unlike a lookup, each scope on the way up asks for itself.
    pub(super) fn contains(&self, scope: ScopeId, name: NameId) -> bool {
        let mut at = scope;
        loop {
            if let Some(target) = self.redirection(at, name) {
                at = target;
            } else if self.assignments.contains_key(&(at, name)) {
                return true;
            } else if at == GLOBAL {
                return self.outermost(name) == Found::Builtin;
            } else {
                at = self.visible(at, self.get(at).parent);
            }
        }
    }

    /// Adds the assignments that were found, of those in `before.0` only the ones before index `before.1`.
    fn add(&self, found: Found, name: NameId, before: Option<(ScopeId, u32)>, referents: &mut Referents) {
        match found {
            Found::Nothing => {}
            Found::Builtin => referents.builtin = true,
            Found::In(scope) => {
                let limit = before.filter(|(own, _)| *own == scope).map_or(NONE, |(_, index)| index);
                let assignments = self.assignments[&(scope, name)];
                if assignments.first_local < limit {
                    referents.local = Some(scope);
                }
                let mut at = assignments.last_import;
                while at != NONE {
                    let import = self.imports[at as usize];
                    if import.index < limit && referents.imports.last() != Some(&import.statement) {
                        referents.imports.push(import.statement);
                    }
                    at = import.previous;
                }
            }
        }
    }

    /// Everything that a name can stand for in a scope, whenever it is assigned.
    pub(super) fn all(&self, name: NameId, scope: ScopeId, referents: &mut Referents) {
        referents.clear();
        self.add(self.resolve(name, scope, scope), name, None, referents);
    }

    /// What an access stands for that was made when `index` assignments of its scope were complete.
    pub(super) fn accessed(&self, name: NameId, scope: ScopeId, index: u32, referents: &mut Referents) {
        referents.clear();
        let found = self.resolve(name, scope, scope);
        self.add(found, name, Some((scope, index)), referents);
        if referents.is_empty() && found != Found::Nothing {
            let found = match scope {
                GLOBAL => self.outermost(name),
                scope => self.resolve(name, self.get(scope).parent, scope),
            };
            self.add(found, name, None, referents);
        }
    }
}
