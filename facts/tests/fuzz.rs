//! The fuzz targets of `fuzz/` for extractors, briefly: over arbitrary bytes, and over sources with a few bytes changed.

#[path = "../../fuzz/src/bytecode.rs"]
mod bytecode;
#[path = "../../fuzz/src/facts.rs"]
mod facts;

use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const SOURCES: &[(Language, &str)] = &[
    (
        Language::Python,
        "\"\"\"D.\"\"\"\nfrom .a import b as c, d  # type: ignore[x]\n@e.f\nclass G(H, metaclass=I):\n    async def j(self, *k: int, l=f'{m!r:>{n}}') -> o:\n        return p(*[q for q in r if q], 'ä' 'b')\n",
    ),
    (
        Language::Rust,
        "//! D\nuse a::{b, c as d};\n#[x]\nimpl<T: U> V for W<T> { fn f(&self, x: u8) -> R { g!(x); self.h(x) } }\n",
    ),
    (
        Language::JavaScript,
        "import a, {b as c} from './d';\n/** D */\nexport class E extends F { #g = 1; h(i) { return `${i}` } }\n",
    ),
    (
        Language::TypeScript,
        "import type {A} from 'b';\ninterface C<T> { d?: T }\nexport const e = (f: number): C<A> => g<A>(f);\n",
    ),
    (Language::Tsx, "const A = ({b}: P) => <C d={b} {...e}>text {f(g)}</C>;\nexport default A;\n"),
    (
        Language::Go,
        "// D\npackage p\n\nimport (\n\t\"a\"\n\tb \"c\"\n)\n\nfunc (r *R) F(x ...int) (int, error) { return b.G(x...), nil }\n",
    ),
    (
        Language::Java,
        "package p;\nimport static a.B.*;\n/** D */\npublic record C<T>(int x) implements D { void f() { g(() -> x); } }\n",
    ),
    (
        Language::C,
        "#include <a.h>\n#define M(x) ((x) + 1)\nstatic int f(struct s *p) { return M(p->x) ? g(*p) : 0; }\n",
    ),
    (
        Language::Cpp,
        "#include \"a.h\"\nnamespace n { template <class T> struct S : B<T> { auto f(T&& t) { return [=] { g(t); }; } }; }\n",
    ),
];

/// Code that real interpreters marshalled: nested functions, handlers, constants of every kind.
const CODE: &[&[u8]] = &[
    include_bytes!("data/3.8.marshal"),
    include_bytes!("data/3.10.marshal"),
    include_bytes!("data/3.11.marshal"),
    include_bytes!("data/3.13.marshal"),
    include_bytes!("data/3.14.marshal"),
];

/// Code, and up to four edits.
fn mutated_code() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), 0usize..6, vec(any::<u8>(), 0..6));
    (select(CODE), vec(edit, 0..4)).prop_map(|(code, edits)| {
        let mut bytes = code.to_vec();
        for (at, length, insert) in edits {
            let start = at.index(bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, insert);
        }
        bytes
    })
}

/// What decides a text's encoding.
const OPENINGS: &[&[u8]] = &[b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"# coding: latin-1\n"];

/// A source, and up to four edits: bytes put in, taken out or repeated.
fn mutated() -> impl Strategy<Value = (Language, Vec<u8>)> {
    let source = select(SOURCES).prop_map(|(language, text)| (language, text.to_owned()));
    let edit = (any::<Index>(), 0usize..12, vec(any::<u8>(), 0..6), any::<bool>());
    (source, vec(edit, 0..4)).prop_map(|((language, text), edits)| {
        let mut bytes = text.into_bytes();
        for (at, length, insert, repeat) in edits {
            let start = at.index(bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            let replacement = if repeat { bytes[start..end].repeat(3) } else { insert };
            bytes.splice(start..end, replacement);
        }
        (language, bytes)
    })
}

proptest! {
    #[test]
    fn lanes_take_any_source((language, bytes) in mutated()) {
        for lane in LaneId::ALL {
            facts::lane(lane, language, &bytes);
        }
    }

    #[test]
    fn lanes_take_any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        for lane in LaneId::ALL {
            facts::lane(lane, Language::Python, &bytes);
        }
    }

    #[test]
    fn marshal_takes_any_code(bytes in mutated_code()) {
        bytecode::marshal(&bytes);
    }

    #[test]
    fn marshal_takes_any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        bytecode::marshal(&bytes);
    }

    #[test]
    fn line_tables_take_any_bytes(bytes in vec(any::<u8>(), 0..100)) {
        bytecode::line_table(&bytes);
    }

    #[test]
    fn exception_tables_take_any_bytes(bytes in vec(any::<u8>(), 0..100)) {
        bytecode::exception_table(&bytes);
    }

    #[test]
    fn text_takes_any_bytes(mut bytes in vec(any::<u8>(), 0..400), start in select(OPENINGS)) {
        bytes.splice(..0, start.iter().copied());
        facts::text(&bytes);
    }

    #[test]
    fn language_takes_any_name(path in "[a-zA-Z./ ]{0,20}\\PC{0,6}", content in vec(any::<u8>(), 0..2000)) {
        facts::language(&path, &content);
    }
}
