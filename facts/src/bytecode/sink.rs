//! A table that gets the rows of one file.

use crate::columns::Table;
use crate::extract::LaneRequest;

/// A table, if the request is for it, and the rows it has of the file at work.
pub(super) struct Sink<'t, T> {
    table: Option<&'t mut T>,
    /// Rows of other files.
    first: usize,
    rows: i32,
}

impl<'t, T: Table> Sink<'t, T> {
    pub(super) fn new(table: &'t mut T, request: &LaneRequest) -> Self {
        let first = table.rows();
        Self { table: request.wants(table.dataset()).then_some(table), first, rows: 0 }
    }

    pub(super) fn wanted(&self) -> bool {
        self.table.is_some()
    }

    /// The table and the ordinal of the row that comes next.
    #[inline]
    pub(super) fn row(&mut self) -> Option<(&mut T, i32)> {
        let table = self.table.as_deref_mut()?;
        self.rows += 1;
        Some((table, self.rows - 1))
    }

    /// The table and the ordinal of the first of so many rows that come next.
    pub(super) fn block(&mut self, rows: usize) -> Option<(&mut T, i32)> {
        let table = self.table.as_deref_mut()?;
        let first = self.rows;
        self.rows += rows as i32;
        Some((table, first))
    }

    /// Rows of the file so far.
    pub(super) fn rows(&self) -> i32 {
        self.rows
    }

    /// Takes back all but the first rows of the file.
    pub(super) fn back_to(&mut self, rows: i32) {
        self.rows = rows;
        if let Some(table) = &mut self.table {
            table.truncate(self.first + rows as usize);
        }
    }
}
