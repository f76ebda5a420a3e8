//! Values of a fixed width: integers and booleans.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, PrimitiveArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType, Int32Type, Int64Type};

use super::{Values, packed, renew};
use crate::catalog::ColumnType;

/// An integer that columns are made of.
pub trait Number: ArrowNativeType + Debug {
    /// Its Arrow type.
    type Arrow: ArrowPrimitiveType<Native = Self>;
    /// Its logical type.
    const TYPE: ColumnType;
}

impl Number for i32 {
    type Arrow = Int32Type;
    const TYPE: ColumnType = ColumnType::Int32;
}

impl Number for i64 {
    type Arrow = Int64Type;
    const TYPE: ColumnType = ColumnType::Int64;
}

/// Integers.
#[derive(Debug, Default)]
pub struct Numbers<N>(Vec<N>);

impl<N: Number> Values for Numbers<N> {
    const TYPE: ColumnType = N::TYPE;
    type Value<'v> = N;

    #[inline]
    fn push(&mut self, value: N) {
        self.0.push(value);
    }
    #[inline]
    fn push_nothing(&mut self) {
        self.0.push(N::default());
    }
    #[inline]
    fn extend<'v>(&mut self, values: impl Iterator<Item = Option<N>>)
    where
        Self: 'v,
    {
        self.0.extend(values.map(Option::unwrap_or_default));
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
    fn bytes(&self) -> usize {
        std::mem::size_of_val(self.0.as_slice())
    }
    fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(PrimitiveArray::<N::Arrow>::new(ScalarBuffer::from(renew(&mut self.0)), nulls))
    }
}

/// Booleans.
#[derive(Debug, Default)]
pub struct Flags(Vec<bool>);

impl Values for Flags {
    const TYPE: ColumnType = ColumnType::Boolean;
    type Value<'v> = bool;

    #[inline]
    fn push(&mut self, value: bool) {
        self.0.push(value);
    }
    #[inline]
    fn push_nothing(&mut self) {
        self.0.push(false);
    }
    #[inline]
    fn extend<'v>(&mut self, values: impl Iterator<Item = Option<bool>>)
    where
        Self: 'v,
    {
        self.0.extend(values.map(Option::unwrap_or_default));
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
    fn bytes(&self) -> usize {
        self.0.len()
    }
    fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(BooleanArray::new(packed(&mut self.0), nulls))
    }
}
