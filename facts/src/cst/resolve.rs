//! From what the walk noted of a node to its qualified names.

use super::names::{QualifiedNames, starts};
use super::scope::{Referents, ScopeId};
use super::walk::{Resolve, Walker};

impl<'w> Walker<'w> {
    /// The qualified names of a node.
    pub(super) fn resolve(&self, resolve: Resolve<'w>, names: &mut QualifiedNames) {
        names.clear();
        let mut referents = Referents::default();
        match resolve {
            Resolve::Unscoped => {}
            Resolve::Assigned { scope, name } => {
                names.push_local(&self.scopes.get(scope).prefix, self.scopes.text(name));
            }
            Resolve::Access { scope, name, index } => {
                self.scopes.accessed(name, scope, index, &mut referents);
                let name = self.scopes.text(name);
                names.fill(&self.scopes, &referents, name, name);
            }
            Resolve::Named { scope, name } => self.by_name(scope, self.scopes.text(name), names),
            Resolve::Dotted { scope, expression } => {
                let mut full_name = String::new();
                if self.full_name(expression, &mut full_name) {
                    self.by_name(scope, &full_name, names);
                }
            }
        }
    }

    /// The names of something called `full_name`: the longest start of it that the scope knows decides.
    fn by_name(&self, scope: ScopeId, full_name: &str, names: &mut QualifiedNames) {
        let root = full_name.split('.').next().unwrap_or_default();
        let Some(root_id) = self.scopes.known(root) else { return };
        let mut referents = Referents::default();
        let longer = starts(full_name).filter(|start| start.len() > root.len());
        // Only a dotted import makes anything but the first name known.
        let mut longer = longer.take_while(|_| self.scopes.is_dotted_root(root_id));
        let known = longer.find_map(|start| Some((start, self.known_in(scope, start)?)));
        if let Some((assigned, id)) = known.or_else(|| Some((root, self.known_in(scope, root)?))) {
            self.scopes.all(id, scope, &mut referents);
            names.fill(&self.scopes, &referents, assigned, full_name);
        }
    }

    fn known_in(&self, scope: ScopeId, name: &str) -> Option<u32> {
        self.scopes.known(name).filter(|id| self.scopes.contains(scope, *id))
    }
}
