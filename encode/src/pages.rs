//! Pages of one column chunk: compressed, with their headers, and what the file's footer says of them.

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::settings::PAGE_ROWS;

/// Level of zstd that pages are compressed with.
pub(crate) const ZSTD_LEVEL: i32 = 3;

/// Bytes of a chunk's first page that are compressed to see whether it is worth while.
const SAMPLE_BYTES: usize = 8 << 10;
/// A chunk is compressed if that takes away at least so much of the sample: one part of this many.
const LEAST_GAIN: usize = 8;

/// The compression of all pages that gain by it.
pub(crate) fn compression() -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).expect("the level is one of zstd's"))
}

/// The compressor of a file, used for page after page.
pub(crate) fn compressor() -> Result<Compressor<'static>> {
    Ok(Compressor::new(ZSTD_LEVEL)?)
}

/// A column chunk whose pages are written one after the other; the dictionary last, though it lies first.
pub(crate) struct Pages {
    column: ColumnDescPtr,
    /// Whether pages are compressed, once that is known.
    compressed: Option<bool>,
    data: TrackedWrite<Vec<u8>>,
    /// Length of each data page with its header, and its rows.
    lengths: Vec<(usize, usize)>,
    encodings: Vec<PageEncodingStats>,
    uncompressed: usize,
    rows: usize,
}

/// A column chunk that is complete.
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) close: ColumnCloseResult,
}

impl Pages {
    /// A chunk that is compressed.
    pub(crate) fn new(column: ColumnDescPtr) -> Self {
        Self {
            column,
            compressed: Some(true),
            data: TrackedWrite::new(vec![]),
            lengths: vec![],
            encodings: vec![],
            uncompressed: 0,
            rows: 0,
        }
    }

    /// A chunk that is compressed if its first page gains by it. Positions are packed so densely that little is left to
    /// take away, which costs as much time as where there is much.
    pub(crate) fn tried(column: ColumnDescPtr) -> Self {
        Self { compressed: None, ..Self::new(column) }
    }

    /// The bytes of a page as they are stored.
    fn stored(&mut self, body: &[u8], compressor: &mut Compressor<'_>) -> Result<Bytes> {
        let compressed = match self.compressed {
            Some(known) => known,
            // Levels lie in front, and say nothing of the values.
            None if body.len() > SAMPLE_BYTES => {
                let sample = &body[body.len() - SAMPLE_BYTES..];
                compressor.compress(sample)?.len() <= SAMPLE_BYTES - SAMPLE_BYTES / LEAST_GAIN
            }
            None => true,
        };
        self.compressed = Some(compressed);
        Ok(if compressed { compressor.compress(body)?.into() } else { Bytes::copy_from_slice(body) })
    }

    /// Bytes of the pages so far.
    pub(crate) fn bytes(&self) -> usize {
        self.data.bytes_written()
    }

    /// Appends a data page: levels and values as they lie in it.
    pub(crate) fn data(
        &mut self,
        body: &[u8],
        rows: usize,
        encoding: Encoding,
        compressor: &mut Compressor<'_>,
    ) -> Result<()> {
        let page = Page::DataPage {
            buf: self.stored(body, compressor)?,
            num_values: count(rows)?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = CompressedPage::new(page, body.len());
        let spec = SerializedPageWriter::new(&mut self.data).write_page(page)?;
        self.count(PageType::DATA_PAGE, encoding);
        self.lengths.push((spec.compressed_size, rows));
        self.uncompressed += spec.uncompressed_size;
        self.rows += rows;
        Ok(())
    }

    fn count(&mut self, page_type: PageType, encoding: Encoding) {
        let known = |s: &&mut PageEncodingStats| s.page_type == page_type && s.encoding == encoding;
        match self.encodings.iter_mut().find(known) {
            Some(stats) => stats.count += 1,
            None => self.encodings.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
    }

    /// Ends the chunk. A dictionary is its values in plain encoding, and how many there are.
    pub(crate) fn close(
        mut self,
        dictionary: Option<(&[u8], usize)>,
        statistics: Option<Statistics>,
        compressor: &mut Compressor<'_>,
    ) -> Result<Encoded> {
        let mut bytes = vec![];
        if let Some((body, values)) = dictionary {
            let page = Page::DictionaryPage {
                buf: self.stored(body, compressor)?,
                num_values: count(values)?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let mut head = TrackedWrite::new(Vec::with_capacity(body.len() / 2 + self.bytes()));
            let spec = SerializedPageWriter::new(&mut head).write_page(CompressedPage::new(page, body.len()))?;
            self.count(PageType::DICTIONARY_PAGE, Encoding::PLAIN);
            self.uncompressed += spec.uncompressed_size;
            bytes = head.into_inner()?;
        }
        let start = bytes.len();
        bytes.append(&mut self.data.into_inner()?);

        let mut index = OffsetIndexBuilder::new();
        let mut offset = start;
        for (length, rows) in &self.lengths {
            index.append_offset_and_size(offset as i64, i32::try_from(*length)?);
            index.append_row_count(*rows as i64);
            offset += length;
        }
        // Levels are encoded in every chunk, if only as none.
        let used = self.encodings.iter().map(|stats| &stats.encoding).chain([&Encoding::RLE]);
        let mut metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(if self.compressed == Some(false) { Compression::UNCOMPRESSED } else { compression() })
            .set_encodings_mask(EncodingMask::new_from_encodings(used))
            .set_page_encoding_stats(self.encodings.clone())
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(start as i64)
            .set_dictionary_page_offset(dictionary.map(|_| 0));
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok(Encoded { bytes: bytes.into(), close })
    }
}

fn count(values: usize) -> Result<u32> {
    u32::try_from(values).map_err(|e| ParquetError::External(Box::new(e)))
}

/// Cuts `rows` more rows where pages end, of which the first holds `held` already.
pub(crate) fn parts(rows: usize, held: usize) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        let room = if start == 0 { PAGE_ROWS - held } else { PAGE_ROWS };
        end = rows.min(start + room);
        (start < end).then_some(start..end)
    })
}
