//! Java.

use lode_facts::language::Language;

use crate::check;

#[test]
fn idioms() {
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
