//! Python.

use lode_facts::language::Language;

use crate::check;

#[test]
fn idioms() {
    check(
        Language::Python,
        r#"
"""The module."""
from __future__ import annotations
import os, os.path as p
from ..pkg import (a, b as c)
from . import *
LIMIT: int = 3
x, (y, *z) = 1, (2, 3)
type Pair[T] = tuple[T, T]

@decorate(1)
class Outer(Base):
    r"""Raw \d."""
    field = 1
    class Inner: pass
    async def run(self, n=1):
        # A comment comes first.
        ("Runs " "it.")
        local = self.go(n, *rest, key=1)
        def nested(): f"no {doc}"
        return sum(i for i in local)
obj.attr = 2
"#,
        r#"
            variable LIMIT
            variable x
            variable y
            variable z
            type Pair
            class Outer
            field Outer.field
            class Outer.Inner
            method Outer.run
            function run.nested
            call decorate(1)
            call self.go(3)
            call sum(1)
            import_from __future__: annotations
            import : os
            import : os.path as p
            import_from ..pkg: a
            import_from ..pkg: b as c
            import_from .: *
            doc module "The module."
            doc Outer "Raw \\d."
            doc run "Runs it."
        "#,
    );
}
