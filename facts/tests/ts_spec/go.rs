//! Go.

use lode_facts::language::Language;

use crate::check;

#[test]
fn idioms() {
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
