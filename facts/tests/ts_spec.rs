//! What the `ts_*` lane makes of each language's idioms: definitions, calls, imports, documentation.

#![allow(clippy::unwrap_used)]

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use lode_facts::extract::{Extractor, FileRequest, GroupOutput, LaneRequest, LaneStatus};
use lode_facts::file::FileMeta;
use lode_facts::lane::LaneId;
use lode_facts::language::Language;
use lode_facts::options::{Limits, Options};

fn extract_with(options: &Options, language: Language, source: &[u8], datasets: &[&str]) -> GroupOutput {
    extract_group(options, language, &[source], datasets)
}

fn extract_group(options: &Options, language: Language, sources: &[&[u8]], datasets: &[&str]) -> GroupOutput {
    let meta = FileMeta::in_scope("spec", "file", 0, Some(language));
    let lane = LaneRequest { lane: LaneId::Ts, datasets: datasets.iter().map(|d| (*d).to_owned()).collect() };
    let request = FileRequest { meta, lanes: vec![lane] };
    let mut extractor = Extractor::new(options, &Limits::default());
    for source in sources {
        extractor.extract(&request, Some(source));
    }
    extractor.finish().unwrap()
}

const ALL: &[&str] =
    &["ts_nodes", "ts_errors", "ts_missing", "ts_defs", "ts_calls", "ts_imports", "ts_docstrings", "ts_stats"];

fn extract(language: Language, source: &[u8], datasets: &[&str]) -> GroupOutput {
    let output = extract_with(&Options::default(), language, source, datasets);
    assert_eq!(output.files[0].lanes[0].status, LaneStatus::Extracted);
    output
}

fn table<'a>(output: &'a GroupOutput, name: &str) -> Option<&'a RecordBatch> {
    output.tables.iter().find(|(d, _)| d.name == name).map(|(_, batch)| batch)
}

/// A column as text, with an empty text for null.
fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let array = cast(batch.column_by_name(column).unwrap(), &DataType::Utf8).unwrap();
    array.as_string::<i32>().iter().map(|v| v.unwrap_or_default().to_owned()).collect()
}

fn ints(batch: &RecordBatch, column: &str) -> Vec<Option<i32>> {
    batch.column_by_name(column).unwrap().as_primitive::<Int32Type>().iter().collect()
}

/// Facts as lines: `kind container.name`, `call callee(arguments)`, `import_kind module: name as asname`,
/// `doc owner "text"`.
fn render(output: &GroupOutput) -> String {
    let mut lines = vec![];
    if let Some(defs) = table(output, "ts_defs") {
        let (kinds, names, containers) = (texts(defs, "def_kind"), texts(defs, "name"), texts(defs, "container"));
        for ((kind, name), container) in kinds.iter().zip(&names).zip(&containers) {
            let dot = if container.is_empty() { "" } else { "." };
            lines.push(format!("{kind} {container}{dot}{name}"));
        }
    }
    if let Some(calls) = table(output, "ts_calls") {
        for (callee, count) in texts(calls, "callee_text").iter().zip(ints(calls, "arg_count")) {
            lines.push(format!("call {callee}({})", count.map_or("?".into(), |c| c.to_string())));
        }
    }
    if let Some(imports) = table(output, "ts_imports") {
        let columns = ["kind", "module", "name", "asname"].map(|c| texts(imports, c));
        for (row, level) in ints(imports, "level").into_iter().enumerate() {
            let [kind, module, name, asname] = &columns;
            let dots = ".".repeat(level.unwrap() as usize);
            let mut line = format!("{} {dots}{}", kind[row], module[row]);
            if !name[row].is_empty() {
                line += &format!(": {}", name[row]);
            }
            if !asname[row].is_empty() {
                line += &format!(" as {}", asname[row]);
            }
            lines.push(line);
        }
    }
    if let Some(docs) = table(output, "ts_docstrings") {
        let (kinds, names) = (texts(docs, "owner_kind"), texts(docs, "owner_name"));
        for (row, text) in texts(docs, "docstring").iter().enumerate() {
            let owner = if names[row].is_empty() { &kinds[row] } else { &names[row] };
            lines.push(format!("doc {owner} {text:?}"));
        }
    }
    lines.join("\n")
}

/// Holds the facts of a source against their expected lines. Facts that are asked for alone must be the same.
fn check(language: Language, source: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let all = extract(language, source.as_bytes(), ALL);
    assert_eq!(render(&all), expected.join("\n"), "{language:?}");
    for (dataset, batch) in &all.tables {
        let alone = extract(language, source.as_bytes(), &[dataset.name]);
        assert_eq!(table(&alone, dataset.name), Some(batch), "{} alone", dataset.name);
    }
    ordinals_name_nodes(&all, source);
}

/// The ordinals of every table lead to nodes with the positions and kinds the table states.
fn ordinals_name_nodes(output: &GroupOutput, source: &str) {
    let nodes = table(output, "ts_nodes").unwrap();
    let (kinds, parents) = (texts(nodes, "kind"), ints(nodes, "parent_ordinal"));
    let (starts, ends) = (ints(nodes, "bstart"), ints(nodes, "bend"));
    for (name, kind) in [("ts_defs", "kind"), ("ts_calls", "kind"), ("ts_missing", "kind"), ("ts_imports", "")] {
        let Some(batch) = table(output, name) else { continue };
        for (row, ordinal) in ints(batch, "node_ordinal").into_iter().enumerate() {
            let ordinal = ordinal.unwrap() as usize;
            assert_eq!(ints(batch, "bstart")[row], starts[ordinal], "{name} {row}");
            assert_eq!(ints(batch, "bend")[row], ends[ordinal], "{name} {row}");
            assert_eq!(ints(batch, "parent_ordinal")[row], parents[ordinal], "{name} {row}");
            if !kind.is_empty() {
                assert_eq!(texts(batch, kind)[row], kinds[ordinal], "{name} {row}");
            }
        }
    }
    if let Some(calls) = table(output, "ts_calls") {
        for (row, ordinal) in ints(calls, "callee_node_ordinal").into_iter().enumerate() {
            let ordinal = ordinal.unwrap() as usize;
            assert_eq!(texts(calls, "callee_kind")[row], kinds[ordinal]);
            let callee = &source[starts[ordinal].unwrap() as usize..ends[ordinal].unwrap() as usize];
            assert!(texts(calls, "callee_text")[row].ends_with(callee));
            assert_eq!(parents[ordinal], ints(calls, "node_ordinal")[row]);
        }
    }
    if let Some(docs) = table(output, "ts_docstrings") {
        for (row, ordinal) in ints(docs, "doc_node_ordinal").into_iter().enumerate() {
            assert_eq!(ints(docs, "bstart")[row], starts[ordinal.unwrap() as usize]);
            let owner = ints(docs, "owner_node_ordinal")[row].unwrap() as usize;
            assert_eq!(texts(docs, "owner_kind")[row], kinds[owner]);
        }
    }
}

#[test]
fn python() {
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

#[test]
fn rust() {
    check(
        Language::Rust,
        r#"//! The crate.
//! More.
use std::{fmt::{self, Display as D}, io::*, mem};
use self::a as b;
pub use crate::x;
extern crate core as c;

/// A point.
///
/// Two axes.
#[derive(Debug)]
pub struct Point<T> {
    /// Across.
    pub x: T,
    y: T, // not documentation
}
/** A block. */
enum Shape { Dot, Line { len: u32 } }
impl<T> fmt::Display for Point<T> {
    const N: usize = 1;
    fn fmt(&self) { fn helper() {} self.x.get::<u8>(1, 2); println!("{}", a()); }
}
trait Area { type Out; fn area(&self) -> f64; }
mod inner {
    //! Inside.
    pub static S: u8 = 1;
    macro_rules! m { () => {} }
}
type Alias = Vec<u8>;
union U { a: u8 }
//// A ruler.
fn main() { let f = |x| x + 1; f(1); Point::new(2); }
"#,
        r#"
            struct Point
            field Point.x
            field Point.y
            enum Shape
            variant Shape.Dot
            variant Shape.Line
            field Line.len
            constant Point.N
            method Point.fmt
            function fmt.helper
            trait Area
            type Area.Out
            method Area.area
            module inner
            variable inner.S
            macro inner.m
            type Alias
            union U
            field U.a
            function main
            call self.x.get::<u8>(2)
            call println(?)
            call f(1)
            call Point::new(1)
            use std::fmt: self
            use std::fmt: Display as D
            use std::io: *
            use std: mem
            use self: a as b
            use crate: x
            extern_crate core as c
            doc source_file "The crate.\nMore."
            doc Point "A point.\n\nTwo axes."
            doc x "Across."
            doc Shape "A block."
            doc inner "Inside."
        "#,
    );
}

#[test]
fn javascript() {
    check(
        Language::JavaScript,
        r#"
import def, { a, b as c } from "mod";
import * as ns from 'ns';
import "side-effect";
export * from "all";
export * as named from "all";
export { d as default } from "./d.js";
const fs = require("fs"), { readFile, x: [y = 1] } = fs;
/** Adds. */
export const add = (a, b) => a + b;
/**
 * A view.
 * @param props what it shows
 */
export default function View(props) {
  let local = 1;
  return <Panel onClick={() => props.go(1)}>{text}</Panel>;
}
class Shape extends Base {
  static count = 0;
  #secret = 1;
  handle = () => {};
  /** Makes. */
  constructor(x) { super(x); }
  get area() { return this.side?.(2); }
}
const Named = class { m() {} };
module.exports.run = function () { new Shape(1, 2); tag`x`; };
const table = { key: function () {}, short() {} };
var old;
async function* gen() { await import("./late.js"); }
"#,
        r#"
            constant fs
            constant readFile
            constant y
            function add
            function View
            class Shape
            field Shape.count
            field Shape.#secret
            method Shape.handle
            method Shape.constructor
            method Shape.area
            class Named
            method Named.m
            function module.exports.run
            constant table
            method key
            method short
            variable old
            function gen
            call require(1)
            call props.go(1)
            call super(1)
            call this.side(1)
            call Shape(2)
            call tag(?)
            call import(1)
            import mod: default as def
            import mod: a
            import mod: b as c
            import ns: * as ns
            import side-effect
            export_from all: *
            export_from all: * as named
            export_from ./d.js: d as default
            require fs
            dynamic_import ./late.js
            doc add "Adds."
            doc View "A view.\n@param props what it shows"
            doc constructor "Makes."
        "#,
    );
}

#[test]
fn typescript() {
    check(
        Language::TypeScript,
        r#"
import type { T } from "./types";
import fs = require("fs");
/** A shape. */
export interface Shape<T> { side: number; area(): number; }
export enum Color { Red, Green = 2 }
namespace Geo { export const PI = 3; export namespace Deep { let d; } }
declare module "ext" { function f(x: number): void; }
type Alias = { a: string };
abstract class A implements Shape<number> {
  private readonly n: number = 1;
  constructor(private x: number) { super(); }
  @log() run<T>(a: T): void { this.go<T>(a); }
  abstract must(): void;
}
declare const VERSION: string;
function over(a: string): void;
function over(a: any) {}
"#,
        r#"
            interface Shape
            field Shape.side
            method Shape.area
            enum Color
            variant Color.Red
            variant Color.Green
            module Geo
            constant Geo.PI
            module Geo.Deep
            variable Deep.d
            module ext
            function ext.f
            type Alias
            class A
            field A.n
            method A.constructor
            method A.run
            method A.must
            constant VERSION
            function over
            function over
            call super(0)
            call log(0)
            call this.go(1)
            import ./types: T
            require fs as fs
            doc Shape "A shape."
        "#,
    );
    check(
        Language::Tsx,
        r#"export const App: FC = () => <List<Item> items={load()} />;"#,
        r#"
            function App
            call load(0)
        "#,
    );
}

#[test]
fn go() {
    check(
        Language::Go,
        r#"// Package shapes draws.
package shapes

import "fmt"
import (
	m "math"
	. "strings"
	_ "embed"
)

// Group.
const (
	// A is first.
	A, B = 1, 2
)

var Count int

// Shape is drawn.
// It has an area.
type Shape interface {
	Area(x int) float64
}

// Far away.

type Box[T any] struct {
	// Side of it.
	Side, Depth T
	fmt.Stringer
}
type ID = string
type F func(int) int

/* Area measures. */
func (b *Box[T]) Area(x int) float64 {
	var local = 1
	return m.Sqrt(b.Side.of(1, local))
}

func main() { // not documentation
	go func() { fmt.Println("x") }()
	_ = make([]int, 3)
}
"#,
        r#"
            module shapes
            constant A
            constant B
            variable Count
            interface Shape
            method Shape.Area
            struct Box
            field Box.Side
            field Box.Depth
            type ID
            type F
            method Box.Area
            function main
            call m.Sqrt(1)
            call b.Side.of(2)
            call func() { fmt.Println("x") }(0)
            call fmt.Println(1)
            call make(2)
            import fmt
            import math as m
            import strings: *
            import embed as _
            doc shapes "Package shapes draws."
            doc A "A is first."
            doc Shape "Shape is drawn.\nIt has an area."
            doc Side "Side of it."
            doc Area "Area measures."
        "#,
    );
}

#[test]
fn java() {
    check(
        Language::Java,
        r#"
package com.example;
import java.util.List;
import java.util.concurrent.*;
import static java.lang.Math.max;

/** A point. */
public record Point(int x, int y) implements Shape {
    public Point { check(x); }
    static int origin() { return new Point(0, 0).norm(); }
}
/** Marks. */
@interface Mark { String value() default ""; }
/**
 * A class.
 */
@Mark("x")
class Outer<T> extends Base {
    /** Two of them. */
    private int a = 1, b;
    static { int local = 1; }
    Outer(int n) { super(n); this.a = n; }
    /// Runs.
    @Override public void run() { List<String> l = new ArrayList<>(); l.stream().map(x -> f(x)); }
    enum Color { RED, GREEN { void m() {} } }
    interface Inner { int LIMIT = 3; void go(); }
}
"#,
        r#"
            module com.example
            class Point
            field Point.x
            field Point.y
            constructor Point.Point
            method Point.origin
            interface Mark
            method Mark.value
            class Outer
            field Outer.a
            field Outer.b
            constructor Outer.Outer
            method Outer.run
            enum Outer.Color
            variant Color.RED
            variant Color.GREEN
            method GREEN.m
            interface Outer.Inner
            constant Inner.LIMIT
            method Inner.go
            call check(1)
            call new Point(0, 0).norm(0)
            call Point(2)
            call super(1)
            call ArrayList<>(0)
            call l.stream().map(1)
            call l.stream(0)
            call f(1)
            import java.util: List
            import java.util.concurrent: *
            import_static java.lang.Math: max
            doc Point "A point."
            doc Mark "Marks."
            doc Outer "A class."
            doc a "Two of them."
            doc run "Runs."
        "#,
    );
}

#[test]
fn c() {
    check(
        Language::C,
        r#"
#include <stdio.h>
#include "own.h"
#include CONFIG
#define LIMIT 10
#define MAX(a, b) ((a) > (b) ? (a) : (b))
/** A point. */
typedef struct point { int x, *y; int (*cmp)(int, int); } point_t;
typedef int (*handler)(int);
enum color { RED, GREEN = 2 };
union word { char bytes[4]; };
struct point;
extern int counter, table[3];
static int (*hook)(void) = 0;
/// Sums.
/// All of them.
int *sum(const int *v, int n);
/*! Runs. */
static int *sum(const int *v, int n)
{
    int local = MAX(v[0], n);
    struct inner { int z; } s;
    v->fn(1)(2);
    return printf("%d", local);
}
"#,
        r#"
            macro LIMIT
            macro MAX
            type point_t
            struct point
            field point.x
            field point.y
            field point.cmp
            type handler
            enum color
            variant color.RED
            variant color.GREEN
            union word
            field word.bytes
            variable counter
            variable table
            variable hook
            prototype sum
            function sum
            struct sum.inner
            field inner.z
            call MAX(2)
            call v->fn(1)(1)
            call v->fn(1)
            call printf(2)
            include_system stdio.h
            include own.h
            include CONFIG
            doc point_t "A point."
            doc sum "Sums.\nAll of them."
            doc sum "Runs."
        "#,
    );
}

#[test]
fn cpp() {
    check(
        Language::Cpp,
        r#"
#include <vector>
using namespace std;
using std::chrono::seconds;
namespace a::b {
/// A shape.
template <typename T> class Shape : public Base {
public:
    Shape(int n);
    virtual ~Shape() = default;
    /// Its area.
    virtual double area() const = 0;
    bool operator==(const Shape &o) const { return eq(o); }
    explicit operator bool() const;
    static const int count = 3;
    enum class Kind : char { Round };
private:
    std::vector<T> items_;
    int (*hook)(int);
};
}
double a::b::Shape<int>::area() const { auto f = [](int x) { return x; }; return f(1) + std::max<int>(1, 2); }
using Alias = Shape<int>;
template <class T> concept Sized = requires(T t) { t.size(); };
int main() { auto *s = new Shape<int>(3); s->area(); delete s; }
"#,
        r#"
            module a::b
            class a::b.Shape
            method Shape.Shape
            method Shape.~Shape
            method Shape.area
            method Shape.operator==
            method Shape.operator bool
            field Shape.count
            enum Shape.Kind
            variant Kind.Round
            field Shape.items_
            field Shape.hook
            method a::b::Shape<int>.area
            type Alias
            interface Sized
            function main
            call eq(1)
            call f(1)
            call std::max<int>(2)
            call t.size(0)
            call Shape<int>(1)
            call s->area(0)
            include_system vector
            using_namespace std: *
            using std::chrono: seconds
            doc Shape "A shape."
            doc area "Its area."
        "#,
    );
}

#[test]
fn errors_and_missing_nodes_are_rows() {
    let source = "def f(:\n    return 1 +\nx = (1\n";
    let output = extract(Language::Python, source.as_bytes(), ALL);
    ordinals_name_nodes(&output, source);
    let errors = table(&output, "ts_errors").unwrap();
    let stats = table(&output, "ts_stats").unwrap();
    assert_eq!(ints(stats, "error_count"), [Some(errors.num_rows() as i32)]);
    assert!(errors.num_rows() > 0);
    let nodes = table(&output, "ts_nodes").unwrap();
    assert_eq!(ints(stats, "node_count"), [Some(nodes.num_rows() as i32)]);

    let output = extract(Language::C, b"int a = 1", ALL);
    let missing = table(&output, "ts_missing").unwrap();
    assert_eq!(texts(missing, "kind"), [";"]);
    assert_eq!((ints(missing, "bstart"), ints(missing, "bend")), (vec![Some(9)], vec![Some(9)]));
}

#[test]
fn bytes_that_are_no_text_move_nothing() {
    let source = b"a = '\xff'\nb\0 = 2\nc = 3\n";
    let output = extract(Language::Python, source, ALL);
    let said: Vec<_> = output.files[0].diagnostics.iter().map(|d| (d.code.as_str(), d.bstart)).collect();
    assert_eq!(said, [("invalid_utf8", Some(5))]);
    let defs = table(&output, "ts_defs").unwrap();
    let last = defs.num_rows() - 1;
    assert_eq!(texts(defs, "name")[last], "c");
    assert_eq!(ints(defs, "bstart")[last], Some(15));
    let nodes = table(&output, "ts_nodes").unwrap();
    assert!(texts(nodes, "text").iter().any(|t| t == "\u{fffd}"));
}

#[test]
fn utf16_is_said_not_guessed() {
    let source: Vec<u8> = [0xfeff_u16].into_iter().chain("x = 1".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let output = extract(Language::Python, &source, ALL);
    assert_eq!(output.files[0].diagnostics[0].code, "utf16");
    assert!(output.tables.is_empty());
}

#[test]
fn texts_are_bounded() {
    let options = Options { max_text_bytes: 4, max_docstring_bytes: 3, ..Options::default() };
    let source = "def longer():\n    'ééé'\nlonger.called()\n# comment\n";
    let output = extract_with(&options, Language::Python, source.as_bytes(), ALL);
    assert_eq!(texts(table(&output, "ts_docstrings").unwrap(), "docstring"), ["é"]);
    assert_eq!(texts(table(&output, "ts_calls").unwrap(), "callee_text"), ["long"]);
    assert!(texts(table(&output, "ts_nodes").unwrap(), "text").iter().all(|t| t.len() <= 4));
}

#[test]
fn depth_is_no_danger() {
    let depth = 50_000;
    let source = format!("x = {}1{}\n", "(".repeat(depth), ")".repeat(depth));
    let output = extract(Language::Python, source.as_bytes(), ALL);
    assert!(ints(table(&output, "ts_stats").unwrap(), "max_depth")[0].unwrap() as usize >= depth);
}

#[test]
fn ordinals_start_anew_with_each_file() {
    let source = b"import a\ndef f(): g()\n'x' = (\n".as_slice();
    let once = extract(Language::Python, source, ALL);
    let twice = extract_group(&Options::default(), Language::Python, &[source, source], ALL);
    for ((dataset, once), (_, twice)) in once.tables.iter().zip(&twice.tables) {
        let rows = once.num_rows();
        assert_eq!(twice.num_rows(), 2 * rows, "{}", dataset.name);
        assert_eq!([&twice.slice(0, rows), &twice.slice(rows, rows)], [once, once], "{}", dataset.name);
    }
}
