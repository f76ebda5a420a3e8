//! JavaScript and TypeScript.

use lode_facts::language::Language;

use crate::check;

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
