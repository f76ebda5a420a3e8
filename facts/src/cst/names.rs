//! Qualified names, by the rules of LibCST's `QualifiedNameProvider` and `FullyQualifiedNameProvider`, and the name of
//! a module after its path.

use super::scope::{Referents, Scopes};

/// Where a qualified name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NameSource {
    Builtin,
    Import,
    Local,
}

impl NameSource {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::Import => "import",
            Self::Local => "local",
        }
    }
}

/// The qualified names of one node, in order, each once.
#[derive(Debug, Default)]
pub(super) struct QualifiedNames {
    names: Vec<(String, NameSource)>,
    len: usize,
}

impl QualifiedNames {
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, NameSource)> {
        self.names[..self.len].iter().map(|(name, source)| (name.as_str(), *source))
    }

    /// A place for one more name; buffers are used again from node to node.
    fn next(&mut self, source: NameSource) -> &mut String {
        if self.len == self.names.len() {
            self.names.push((String::new(), source));
        }
        let (name, place) = &mut self.names[self.len];
        self.len += 1;
        name.clear();
        *place = source;
        name
    }

    /// A name assigned in the scope with this prefix.
    pub(super) fn push_local(&mut self, prefix: &str, full_name: &str) {
        let name = self.next(NameSource::Local);
        if !prefix.is_empty() {
            name.push_str(prefix);
            name.push('.');
        }
        name.push_str(full_name);
    }

    /// The names of a node whose name is `full_name`, where `assigned`, a start of it, stands for `referents`.
    pub(super) fn fill(&mut self, scopes: &Scopes<'_>, referents: &Referents, assigned: &str, full_name: &str) {
        self.clear();
        if let Some(scope) = referents.local {
            self.push_local(&scopes.get(scope).prefix, full_name);
        }
        if referents.builtin {
            let name = self.next(NameSource::Builtin);
            name.push_str("builtins.");
            name.push_str(assigned);
        }
        for statement in &referents.imports {
            self.push_imported(scopes, *statement, full_name);
        }
        if self.len > 1 {
            self.names[..self.len].sort();
            let mut kept = 1;
            for at in 1..self.len {
                if self.names[at] != self.names[kept - 1] {
                    self.names.swap(at, kept);
                    kept += 1;
                }
            }
            self.len = kept;
        }
    }

    /// What an import statement makes of a name: any of its aliases that is a start of it counts.
    fn push_imported(&mut self, scopes: &Scopes<'_>, statement: u32, full_name: &str) {
        let import = scopes.statement(statement);
        for alias in import.aliases {
            let real = alias.name.id.as_str();
            let (real, rest) = match &alias.asname {
                Some(asname) => match rest_of(full_name, &asname.id) {
                    Some(rest) => (real, rest),
                    None => continue,
                },
                // The longest start of the imported name that the node's name begins with.
                None => match starts(real).find_map(|start| Some((start, rest_of(full_name, start)?))) {
                    Some(found) => found,
                    None => continue,
                },
            };
            let name = self.next(NameSource::Import);
            name.push_str(&import.module);
            if !import.module.is_empty() && !import.module.ends_with('.') {
                name.push('.');
            }
            name.push_str(real);
            if !rest.is_empty() {
                name.push('.');
                name.push_str(rest);
            }
        }
    }
}

/// A dotted name and its starts, longest first.
pub(super) fn starts(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rfind('.').map(|at| &name[..at]))
}

/// What follows `start` in a dotted name, without the dots between.
fn rest_of<'n>(name: &'n str, start: &str) -> Option<&'n str> {
    let rest = name.strip_prefix(start)?;
    (rest.is_empty() || rest.starts_with('.')).then(|| rest.trim_start_matches('.'))
}

/// The name of a module and of the package it is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ModuleName {
    pub(super) module: String,
    pub(super) package: String,
}

impl ModuleName {
    /// By LibCST's rule: the path below the root without its suffix; `__init__` and `__main__` are their package.
    pub(super) fn of(path: &str, roots: &[String]) -> Self {
        let path = root_around(path, roots).and_then(|root| below(path, root)).unwrap_or(path);
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let Some(file) = parts.pop() else { return Self::default() };
        let stem = stem(file);
        let package = parts.join(".");
        if matches!(self::stem(stem), "__init__" | "__main__") {
            return Self { module: package.clone(), package };
        }
        parts.push(stem);
        Self { module: parts.join("."), package }
    }

    /// The fully qualified form of a name; none where a relative import reaches beyond the top.
    pub(super) fn qualify(&self, name: &str, source: NameSource, out: &mut String) -> bool {
        out.clear();
        if source == NameSource::Builtin || (source == NameSource::Import && !name.starts_with('.')) {
            out.push_str(name);
            return true;
        }
        let absolute = name.trim_start_matches('.');
        let base = match name.len() - absolute.len() {
            0 => self.module.as_str(),
            dots => match self.package.rsplitn(dots, '.').collect::<Vec<_>>() {
                bits if bits.len() == dots => bits[dots - 1],
                _ => return false,
            },
        };
        out.push_str(base);
        out.push('.');
        out.push_str(absolute);
        true
    }
}

/// The innermost of the roots around a file.
pub(super) fn root_around<'r>(path: &str, roots: &'r [String]) -> Option<&'r str> {
    let roots = roots.iter().map(|root| root.trim_end_matches('/')).filter(|root| !root.is_empty());
    roots.filter(|root| below(path, root).is_some()).max_by_key(|root| root.len())
}

/// A path below a root.
fn below<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    path.strip_prefix(root)?.strip_prefix('/')
}

/// A file's name without its suffix, as `pathlib` splits them.
fn stem(file: &str) -> &str {
    match file.rfind('.') {
        Some(at) if at > 0 && at + 1 < file.len() => &file[..at],
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> (String, String) {
        let name = ModuleName::of(path, &["src".into(), "src/deep".into()]);
        (name.module, name.package)
    }

    #[test]
    fn modules_are_named_after_their_path() {
        let expect = |path, module: &str, package: &str| assert_eq!(name(path), (module.into(), package.into()));
        expect("a/b.py", "a.b", "a");
        expect("a/__init__.py", "a", "a");
        expect("a/__main__.pyi", "a", "a");
        expect("__init__.py", "", "");
        expect("setup.py", "setup", "");
        expect("src/a/b.py", "a.b", "a");
        expect("src/deep/a/b.py", "a.b", "a");
        expect("srcs/a.py", "srcs.a", "srcs");
        expect("bin/tool", "bin.tool", "bin");
        expect("a/b.c.py", "a.b.c", "a");
        expect("a/.py", "a..py", "a");
    }

    #[test]
    fn relative_imports_are_resolved_in_the_package() {
        let module = ModuleName { module: "a.b.c".into(), package: "a.b".into() };
        let qualify = |name: &str, source| {
            let mut out = String::new();
            module.qualify(name, source, &mut out).then_some(out)
        };
        assert_eq!(qualify(".x", NameSource::Import).as_deref(), Some("a.b.x"));
        assert_eq!(qualify("..x.y", NameSource::Import).as_deref(), Some("a.x.y"));
        assert_eq!(qualify("...x", NameSource::Import), None);
        assert_eq!(qualify("os.path", NameSource::Import).as_deref(), Some("os.path"));
        assert_eq!(qualify("C.f", NameSource::Local).as_deref(), Some("a.b.c.C.f"));
        assert_eq!(qualify("builtins.int", NameSource::Builtin).as_deref(), Some("builtins.int"));
    }
}
