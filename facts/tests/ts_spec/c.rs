//! C and C++.

use lode_facts::language::Language;

use crate::check;

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
