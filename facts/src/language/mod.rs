//! Languages, and how a file's is found: by its name, then its extension, then its `#!` line.

mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

pub use self::table::Language;
use self::table::Names;

/// How much of a file's beginning [`Language::detect`] looks at.
pub const HEAD_BYTES: usize = 1024;

static BY_FILE: LazyLock<HashMap<&'static str, Language>> = LazyLock::new(|| index(|names| names.files));
static BY_EXTENSION: LazyLock<HashMap<&'static str, Language>> = LazyLock::new(|| index(|names| names.extensions));
static BY_INTERPRETER: LazyLock<HashMap<&'static str, Language>> = LazyLock::new(|| index(|names| names.interpreters));

fn index(list: fn(&Names) -> &'static str) -> HashMap<&'static str, Language> {
    let words = |language: &Language| list(&language.names()).split(' ').filter(|word| !word.is_empty());
    Language::ALL.iter().flat_map(|language| words(language).map(|word| (word, *language))).collect()
}

impl Language {
    /// The language of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|language| language.name() == name)
    }

    /// Extensions of its files, without the dot, in lower case.
    pub fn extensions(self) -> impl Iterator<Item = &'static str> {
        self.names().extensions.split(' ').filter(|word| !word.is_empty())
    }

    /// The language of a file, from its path and the first [`HEAD_BYTES`] of its content.
    ///
    /// Content decides in two cases only: a `#!` line where the name says nothing, and `.h`, which is C++ if a line of
    /// its first KiB outside comments opens with what C has not (`class X`, `namespace`, `template <`, …), else C.
    pub fn detect(path: &str, head: &[u8]) -> Option<Self> {
        let head = &head[..head.len().min(HEAD_BYTES)];
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(language) = BY_FILE.get(name) {
            return Some(*language);
        }
        // `Dockerfile.dev`, `Makefile.am`: the stem says more than the suffix.
        if let Some((stem @ ("Dockerfile" | "Containerfile" | "Makefile"), _)) = name.split_once('.') {
            return BY_FILE.get(stem).copied();
        }
        match name.rsplit_once('.') {
            // By convention of Unix compilers, an upper-case extension is C++.
            Some((_, "C" | "H")) => return Some(Self::Cpp),
            Some((_, "h")) if is_cpp_header(head) => return Some(Self::Cpp),
            Some((_, extension)) => {
                if let Some(language) = BY_EXTENSION.get(extension.to_ascii_lowercase().as_str()) {
                    return Some(*language);
                }
            }
            None => {}
        }
        BY_INTERPRETER.get(interpreter(head)?).copied()
    }
}

/// The program of a `#!` line, without directory and version: `#!/usr/bin/env -S python3.12 -u` gives `python`.
fn interpreter(head: &[u8]) -> Option<&str> {
    let line = head.strip_prefix(b"#!")?.split(|b| matches!(b, b'\n' | b'\r')).next()?;
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let mut program = basename(words.next()?);
    if program == "env" {
        program = basename(env_program(words)?);
    }
    let name = program.split(|c: char| c.is_ascii_digit()).next().unwrap_or(program);
    Some(name.trim_end_matches('-'))
}

/// The program that `env` would run: the first word that is no option, no operand of one, and no assignment.
fn env_program<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    while let Some(word) = words.next() {
        match word {
            "-u" | "--unset" | "-C" | "--chdir" => drop(words.next()),
            "-S" | "--split-string" => {}
            _ if word.starts_with("--split-string=") => return word.split_once('=').map(|(_, program)| program),
            _ if word.starts_with("-S") => return Some(&word[2..]),
            _ if word.starts_with('-') || word.contains('=') => {}
            _ => return Some(word),
        }
    }
    None
}

fn basename(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Openings of lines that C++ has and C has not.
const CPP_LINES: &[&str] = &[
    "class ",
    "namespace ",
    "inline namespace ",
    "using ",
    "template<",
    "template <",
    "public:",
    "private:",
    "protected:",
    "constexpr ",
    "extern \"C++\"",
    "#include <iostream>",
    "#include <string>",
    "#include <vector>",
    "#include <memory>",
];

fn is_cpp_header(head: &[u8]) -> bool {
    let mut in_comment = false;
    head.split(|b| *b == b'\n').any(|line| {
        let mut line = line.trim_ascii();
        if in_comment {
            let Some(end) = memchr::memmem::find(line, b"*/") else { return false };
            in_comment = false;
            line = line[end + 2..].trim_ascii_start();
        }
        while let Some(comment) = line.strip_prefix(b"/*") {
            let Some(end) = memchr::memmem::find(comment, b"*/") else {
                in_comment = true;
                return false;
            };
            line = comment[end + 2..].trim_ascii_start();
        }
        if let Some(open) = memchr::memmem::rfind(line, b"/*") {
            in_comment = memchr::memmem::find(&line[open..], b"*/").is_none();
        }
        CPP_LINES.iter().any(|opening| line.starts_with(opening.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str, head: &str) -> &'static str {
        Language::detect(path, head.as_bytes()).map_or("-", Language::name)
    }

    #[test]
    fn nothing_is_claimed_twice() {
        for list in [|n: &Names| n.files, |n: &Names| n.extensions, |n: &Names| n.interpreters] {
            let words = Language::ALL.iter().flat_map(|l| list(&l.names()).split(' ').filter(|w| !w.is_empty()));
            assert_eq!(index(list).len(), words.count());
        }
    }

    #[test]
    fn names_round_trip() {
        for language in Language::ALL {
            assert_eq!(Language::by_name(language.name()), Some(*language));
            let json = serde_json::to_string(language).unwrap();
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), *language);
        }
        assert_eq!(serde_json::to_string(&Language::JavaScript).unwrap(), "\"java_script\"");
    }

    #[test]
    fn by_name_and_extension() {
        for (path, expected) in [
            ("a/b.py", "python"),
            ("stub.pyi", "python"),
            ("fast.pyx", "cython"),
            ("a.PY", "python"),
            ("x.tsx", "tsx"),
            ("x.mts", "typescript"),
            ("src/x.C", "cpp"),
            ("x.c", "c"),
            ("Makefile", "make"),
            ("deploy/Dockerfile.dev", "dockerfile"),
            ("BUILD", "starlark"),
            ("CMakeLists.txt", "cmake"),
            ("notes.txt", "text"),
            ("Cargo.lock", "toml"),
            (".bashrc", "shell"),
            ("archive.tar.zst", "-"),
            ("py", "-"),
            ("", "-"),
        ] {
            assert_eq!(name(path, ""), expected, "{path}");
        }
    }

    #[test]
    fn by_shebang() {
        for (line, expected) in [
            ("#!/usr/bin/env python3\n", "python"),
            ("#!/usr/bin/python3.12\r\n", "python"),
            ("#! /usr/local/bin/python3.13t -u\n", "python"),
            ("#!/usr/bin/env -S python -O\n", "python"),
            ("#!/usr/bin/env -Spython3\n", "python"),
            ("#!/usr/bin/env -u HOME LANG=C pypy3\n", "python"),
            ("#!/bin/sh", "shell"),
            ("#!/usr/bin/env node\n", "javascript"),
            ("#!/usr/bin/lua5.4\n", "lua"),
            ("#!/usr/bin/env\n", "-"),
            ("#!\n", "-"),
            ("#!/opt/mystery\n", "-"),
            ("# python\n", "-"),
        ] {
            assert_eq!(name("bin/tool", line), expected, "{line:?}");
        }
        assert_eq!(name("tool.sh", "#!/usr/bin/python\n"), "shell", "the extension comes first");
        assert_eq!(name("tool.in", "#!/usr/bin/python\n"), "python", "an unknown extension says nothing");
    }

    #[test]
    fn headers() {
        for (text, expected) in [
            ("#pragma once\nstruct a { int b; };\n", "c"),
            ("/* the\nclass of things */\nint a;\n", "c"),
            ("// class A\n", "c"),
            ("/* x */ class A {\n", "cpp"),
            ("#pragma once\nnamespace a {\n", "cpp"),
            ("  template <typename T>\n", "cpp"),
        ] {
            assert_eq!(name("a.h", text), expected, "{text:?}");
        }
    }
}
