//! Rust.

use lode_facts::language::Language;

use crate::check;

#[test]
fn idioms() {
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
