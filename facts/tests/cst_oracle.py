"""Prints what LibCST's metadata providers see in files, in the form of Lode's `cst_*` tables.

Reads lines `path<tab>path below the root` and writes for each a line `@path`, then its rows: the letter of the table,
then fields separated by tabs. Positions are turned into bytes of the file as it lies on disk; texts have `\\n` as line
end. Where LibCST refuses the file there is one row `E`.
"""

import sys
from tokenize import detect_encoding
import io

import libcst as cst
from libcst import helpers
from libcst.metadata import (
    ByteSpanPositionProvider,
    ExpressionContextProvider,
    FullyQualifiedNameProvider,
    MetadataWrapper,
    ParentNodeProvider,
    QualifiedNameProvider,
    ScopeProvider,
)
from libcst._nodes.internal import CodegenState
from libcst.metadata.base_provider import BaseMetadataProvider
from libcst.metadata.name_provider import FullyQualifiedNameVisitor
from libcst.metadata.span_provider import SpanProvidingCodegenState, byte_length_in_utf8

LIMIT = 10_000
WHITESPACE = (
    cst.Comment, cst.EmptyLine, cst.Newline, cst.ParenthesizedWhitespace, cst.SimpleWhitespace, cst.TrailingWhitespace,
)
DOCSTRING_LIMIT = 64 * 1024
DEFINITIONS = (cst.FunctionDef, cst.ClassDef)


def cut(text, limit=LIMIT):
    encoded = text.encode("utf-8", "surrogatepass")
    return text if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")


def escaped(value):
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def joined(values):
    return "[" + "|".join(values) + "]"


def kind_of(node):
    if isinstance(node, cst.ClassDef):
        return "class"
    return "function" if node.asynchronous is None else "async_function"


def resolved(value):
    return set() if value is None else value() if callable(value) else value


class OwnedState(SpanProvidingCodegenState):
    """Records what nodes print, whitespace included."""

    record_syntactic_position = CodegenState.record_syntactic_position


class OwnedSpanProvider(BaseMetadataProvider):
    """`WhitespaceInclusivePositionProvider`, in bytes."""

    def _gen_impl(self, module):
        module._codegen(
            OwnedState(
                default_indent=module.default_indent, default_newline=module.default_newline, provider=self,
                get_length=byte_length_in_utf8,
            )
        )


class File:
    def __init__(self, content, relative):
        self.rows = []
        module = cst.parse_module(content)
        names = helpers.calculate_module_and_package("/r", f"/r/{relative}")
        self.names = names
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True, cache={FullyQualifiedNameProvider: names})
        self.module = wrapper.module
        self.spans = wrapper.resolve(ByteSpanPositionProvider)
        self.contexts = wrapper.resolve(ExpressionContextProvider)
        self.scopes = wrapper.resolve(ScopeProvider)
        self.qnames = wrapper.resolve(QualifiedNameProvider)
        try:
            self.fqnames = wrapper.resolve(FullyQualifiedNameProvider)
        except ImportError:
            # The provider gives up on the file where a relative import reaches beyond the top: name by name instead.
            self.fqnames = None
        self.owned = wrapper.resolve(OwnedSpanProvider)
        self.parents = wrapper.resolve(ParentNodeProvider)
        # The bytes that spans count are those of the text as UTF-8.
        encoding = detect_encoding(io.BytesIO(content).readline)[0]
        self.text = content.decode(encoding)
        utf8 = self.text.encode()
        self.utf8 = utf8
        if encoding == "utf-8":
            self.original = lambda at: at
        else:
            bom = 3 if encoding == "utf-8-sig" else 0
            codec = "utf-8" if bom else encoding
            self.original = lambda at: bom + len(utf8[:at].decode().encode(codec))

    def utf8_span(self, node):
        span = self.spans[node]
        return span.start, span.start + span.length

    def span(self, node):
        start, end = self.utf8_span(node)
        return self.original(start), self.original(end)

    def source(self, node):
        """The source with the parentheses that the node owns."""
        start, end = self.utf8_span(node)
        if getattr(node, "lpar", ()):
            start, end = self.utf8_span(node.lpar[0])[0], self.utf8_span(node.rpar[-1])[1]
        return cut(self.utf8[start:end].decode().replace("\r\n", "\n").replace("\r", "\n"))

    def qualified(self, node):
        names = sorted((q.name, q.source.name.lower()) for q in resolved(self.qnames.get(node)))
        return [name for name, _ in names], [source for _, source in names]

    def fully_qualified(self, node):
        if self.fqnames is not None:
            return {(q.name, q.source.name.lower()) for q in resolved(self.fqnames.get(node))}
        names = set()
        for qname in resolved(self.qnames.get(node)):
            try:
                full = FullyQualifiedNameVisitor._fully_qualify(self.names.name, self.names.package, qname)
            except ImportError:
                continue
            names.add((full.name, full.source.name.lower()))
        return names

    def row(self, letter, *fields):
        self.rows.append("\t".join([letter, *map(escaped, fields)]))

    def extract(self):
        self.tree()
        nodes = []
        futures = []
        defs, docstrings, decorators, annotations, imports = [], [], [], [], []

        def walk(node, owner):
            if isinstance(node, DEFINITIONS):
                defs.append((node, owner))
                inner = node
            else:
                inner = owner
            if isinstance(node, cst.Annotation):
                annotations.append((node, owner))
            if isinstance(node, (cst.Import, cst.ImportFrom)):
                imports.append(node)
            if isinstance(node, (cst.Name, cst.Attribute, cst.Call)):
                nodes.append(node)
            for child in node.children:
                walk(child, inner)

        walk(self.module, None)
        nodes.sort(key=lambda node: (self.spans[node].start, -self.spans[node].length))
        defs.sort(key=lambda pair: self.spans[pair[0]].start)
        annotations.sort(key=lambda pair: self.spans[pair[0].annotation].start)
        imports.sort(key=lambda node: self.spans[node].start)
        for node in imports:
            module = getattr(node, "module", None)
            if module is not None and not node.relative and helpers.get_full_name_for_node(module) == "__future__":
                futures += [alias.evaluated_name for alias in node.names]
        module = self.module
        self.row(
            "M", module.encoding, module.default_indent, module.default_newline, module.has_trailing_newline,
            joined(futures), self.names.name, self.names.package,
        )
        owner_of = {id(node): (kind_of(node), *self.span(node)) for node, _ in defs}
        none = (None, None, None)
        for node in nodes:
            if isinstance(node, cst.Call):
                self.call(node)
            else:
                self.reference(node)
        for node in imports:
            self.imported(node)
        for node, owner in defs:
            qnames, sources = self.qualified(node)
            fqns = sorted(name for name, _ in self.fully_qualified(node))
            docstring = node.get_docstring()
            self.row(
                "F", *owner_of.get(id(owner), none), kind_of(node), node.name.value, *self.span(node),
                *self.span(node.name), joined(qnames), joined(sources), joined(fqns),
                docstring and cut(docstring, DOCSTRING_LIMIT), len(node.decorators),
            )
            for index, decorator in enumerate(node.decorators):
                self.row("G", *owner_of[id(node)], self.source(decorator.decorator), index, *self.span(decorator))
        for node in [self.module] + [node for node, _ in defs]:
            docstring = node.get_docstring()
            if docstring is not None:
                body = node if isinstance(node, cst.Module) else node.body
                while not isinstance(body, cst.Expr):
                    body = body.body[0]
                owner = owner_of.get(id(node), ("module", None, None))
                self.row("D", *owner, cut(docstring, DOCSTRING_LIMIT), *self.span(body.value))
        for node, owner in annotations:
            parent = self.parents[node]
            name = None
            if isinstance(parent, cst.Param):
                role, name = "param", parent.name.value
                owner = self.parents[self.parents[parent]]
            elif isinstance(parent, cst.FunctionDef):
                role, owner = "return", parent
            else:
                role = "variable"
            owner = owner_of.get(id(owner), none)
            self.row("T", *owner, name, role, *self.span(node.annotation), self.source(node.annotation))

    def tree(self):
        todo = [(self.module, None, None, None)]
        ordinal = 0
        while todo:
            node, parent, slot, index = todo.pop()
            owned = self.owned[node]
            owned = self.original(owned.start), self.original(owned.start + owned.length)
            kind = type(node).__name__
            self.row("N", parent, kind, slot, index, *self.span(node), *owned)
            slots = {}
            for field in node.__dataclass_fields__:
                value = getattr(node, field)
                if isinstance(value, cst.CSTNode):
                    slots[id(value)] = field, None
                elif isinstance(value, (list, tuple)):
                    slots.update((id(item), (field, at)) for at, item in enumerate(value))
            children = [child for child in node.children if not isinstance(child, WHITESPACE)]
            todo.extend((child, ordinal, *slots[id(child)]) for child in reversed(children))
            ordinal += 1

    def reference(self, node):
        parent = self.parents[node]
        if isinstance(parent, cst.Attribute) and parent.attr is node:
            return
        scope = self.scopes.get(node)
        qnames, sources = self.qualified(node)
        context = self.contexts.get(node)
        self.row(
            "R", "name" if isinstance(node, cst.Name) else "attribute", cut(helpers.get_full_name_for_node(node)),
            context and context.name, scope and type(scope).__name__, getattr(scope, "name", None),
            type(parent).__name__, joined(qnames), joined(sources), *self.span(node),
        )

    def call(self, node):
        shapes = {cst.Name: "NAME", cst.Attribute: "ATTRIBUTE", cst.Subscript: "SUBSCRIPT"}
        func = node.func
        qnames, sources = self.qualified(func)
        if not qnames:
            qnames, sources = self.qualified(node)
        fqns = sorted(self.fully_qualified(func) or self.fully_qualified(node))
        dotted = helpers.get_full_name_for_node(func)
        span = self.span(node)
        self.row(
            "C", *span, *self.span(func), shapes.get(type(func), "OTHER"), self.source(func), len(node.args),
            dotted and cut(dotted), joined(qnames), joined(sources), joined(sorted({name for name, _ in fqns})),
        )
        for index, arg in enumerate(node.args):
            keyword = arg.keyword and arg.keyword.value
            self.row("A", *span, index, keyword, arg.star, self.source(arg.value), *self.span(arg.value))
        stars, double = (sum(arg.star == star for arg in node.args) for star in ("*", "**"))
        keywords = sum(arg.keyword is not None for arg in node.args)
        counts = len(node.args), keywords, stars, double, len(node.args) - keywords - stars - double
        for name, source in fqns:
            self.row("Q", name, source, *span, *counts)

    def imported(self, node):
        module = getattr(node, "module", None)
        module = None if module is None else helpers.get_full_name_for_node(module)
        kind = "importfrom" if isinstance(node, cst.ImportFrom) else "import"
        level = len(getattr(node, "relative", ()))
        span = self.span(node)
        if isinstance(node.names, cst.ImportStar):
            self.row("I", kind, module, level, "*", None, True, *span, *self.span(node.names))
            return
        for alias in node.names:
            asname = alias.asname and alias.evaluated_alias
            self.row("I", kind, module, level, alias.evaluated_name, asname, False, *span, *self.span(alias))


def main():
    sys.setrecursionlimit(5_000)
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    for line in sys.stdin:
        path, relative = line.rstrip("\n").split("\t")
        with open(path, "rb") as file:
            content = file.read()
        print(f"@{path}")
        try:
            file = File(content, relative)
            file.extract()
        except (cst.ParserSyntaxError, UnicodeDecodeError, SyntaxError) as error:
            line = getattr(error, "raw_line", None)
            print(f"E\t{type(error).__name__}\t{escaped(line)}")
            continue
        except Exception as error:
            print(f"X\t{type(error).__name__}\t{escaped(error)}")
            continue
        sys.stdout.write("".join(f"{row}\n" for row in file.rows))
    sys.stdout.flush()


main()
