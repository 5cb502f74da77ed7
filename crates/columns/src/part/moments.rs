//! When events of a chunk happened, and when they came.

use super::{CHUNK_ROWS, PartView, column::NumberColumn, image};
use crate::{Result, kernels::Level};

/// From so many rows of a chunk on all of it is unpacked at once.
const DECODED_ROWS: usize = 24;

impl<'p> PartView<'p> {
    /// Gives of some rows when they happened and when they came.
    pub(crate) fn moments(&self, rows: &[u32]) -> Result<Vec<(i64, u64)>> {
        let mut moments = vec![(0, 0); rows.len()];
        if let Some(times) = self.times()? {
            times.gather(rows, |at, kept| moments[at].0 = image::to_i64(times.image(kept)))?;
        }
        let arrivals = self.number_column(self.arrivals())?;
        arrivals.gather(rows, |at, kept| moments[at].1 = arrivals.image(kept))?;
        Ok(moments)
    }

    /// Gives what tells the times of rows of a chunk, of which `count` will be asked for.
    pub(crate) fn each_time(
        &self,
        chunk: u32,
        count: usize,
        scratch: &mut [u64; CHUNK_ROWS],
        each: impl FnOnce(&dyn Fn(u32) -> i64),
    ) -> Result<()> {
        match self.times()? {
            Some(times) => of_chunk(&times, chunk, count, scratch, |of| {
                each(&|row| image::to_i64(of(row)));
            }),
            None => {
                each(&|_| 0);
                Ok(())
            }
        }
    }

    /// Gives what tells when rows of a chunk came, of which `count` will be asked for.
    pub(crate) fn each_arrival(
        &self,
        chunk: u32,
        count: usize,
        scratch: &mut [u64; CHUNK_ROWS],
        each: impl FnOnce(&dyn Fn(u32) -> u64),
    ) -> Result<()> {
        let arrivals = self.number_column(self.arrivals())?;
        of_chunk(&arrivals, chunk, count, scratch, each)
    }
}

fn of_chunk(
    column: &NumberColumn<'_>,
    chunk: u32,
    count: usize,
    scratch: &mut [u64; CHUNK_ROWS],
    each: impl FnOnce(&dyn Fn(u32) -> u64),
) -> Result<()> {
    let numbers = column.chunk(chunk as usize)?;
    if count >= DECODED_ROWS {
        numbers.decode(Level::best(), scratch);
        each(&|row| column.image(scratch[row as usize % CHUNK_ROWS]));
    } else {
        each(&|row| column.image(numbers.get(row as usize % CHUNK_ROWS)));
    }
    Ok(())
}
