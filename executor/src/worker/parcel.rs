//! Parcels: what one process hands to the other, as a sealed anonymous file.
//!
//! A parcel holds a body of any bytes and a head that says what lies where. The seals are what makes it safe to map a
//! parcel of a process that isn't trusted: it can neither shrink nor change any more.

use std::fs::File;
use std::io::{self, IoSlice, Seek, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use arrow::buffer::Buffer;
use bytes::Bytes;
use memmap2::MmapOptions;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create, sendfile};
use rustix::io::Errno;

/// The seals of a parcel.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);
/// Arrow's alignment of what is decoded in place.
const ALIGNMENT: u64 = 64;
/// Most bytes the kernel copies at once.
const MAX_COPY: usize = 1 << 30;
/// Most parts the kernel takes in one write.
const MAX_PARTS: usize = 1024;

/// Where the head of a parcel lies; the message that carries the parcel's descriptor.
pub(super) type Label = [u8; 16];

/// A parcel that is being filled.
pub(super) struct Draft {
    file: File,
    len: u64,
}

impl Draft {
    pub(super) fn new() -> io::Result<Self> {
        let fd = memfd_create("lode", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        Ok(Self { file: fd.into(), len: 0 })
    }

    /// Fills a file again, from its start.
    pub(super) fn again(mut file: File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self { file, len: 0 })
    }

    /// Appends bytes and says where they lie.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<Range<u64>> {
        self.file.write_all(bytes)?;
        Ok(self.extend(bytes.len() as u64))
    }

    /// Appends what a range of a file holds, which may reach beyond its end. The kernel copies.
    pub(super) fn file(&mut self, file: &File, range: Range<u64>) -> io::Result<Range<u64>> {
        let mut copied = 0;
        let result = loop {
            let mut offset = range.start + copied;
            let wanted = usize::try_from(range.end - offset).unwrap_or(usize::MAX).min(MAX_COPY);
            match sendfile(&self.file, file, Some(&mut offset), wanted) {
                Ok(0) => break Ok(()),
                Ok(sent) => copied += sent as u64,
                Err(Errno::INTR) => {}
                // A file system that can't be copied from in the kernel.
                Err(Errno::INVAL | Errno::NOSYS) if copied == 0 => break self.read(file, &range, &mut copied),
                Err(error) => break Err(error.into()),
            }
        };
        // A failed copy leaves some bytes behind: the next content starts after them.
        let range = self.extend(copied);
        result.map(|()| range)
    }

    fn read(&mut self, file: &File, range: &Range<u64>, copied: &mut u64) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let offset = range.start + *copied;
            let wanted = buffer.len().min(usize::try_from(range.end - offset).unwrap_or(usize::MAX));
            match file.read_at(&mut buffer[..wanted], offset) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    self.file.write_all(&buffer[..read])?;
                    *copied += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Appends Arrow buffers, aligned so that they can be decoded in place.
    pub(super) fn buffers(&mut self, buffers: &[Buffer]) -> io::Result<Range<u64>> {
        let padding = self.len.next_multiple_of(ALIGNMENT) - self.len;
        self.bytes(&[0; ALIGNMENT as usize][..padding as usize])?;
        for part in buffers.chunks(MAX_PARTS) {
            let mut slices: Vec<IoSlice<'_>> = part.iter().map(|b| IoSlice::new(b)).collect();
            write_all_vectored(&mut self.file, &mut slices)?;
        }
        Ok(self.extend(buffers.iter().map(|b| b.len() as u64).sum()))
    }

    fn extend(&mut self, by: u64) -> Range<u64> {
        let start = self.len;
        self.len += by;
        start..self.len
    }

    /// Adds the head and makes the parcel immutable.
    pub(super) fn seal(mut self, head: &[u8]) -> io::Result<(OwnedFd, Label)> {
        let label = self.label(head)?;
        fcntl_add_seals(&self.file, SEALS)?;
        Ok((self.file.into(), label))
    }

    /// Adds the head and gives the parcel to somebody who can only read it. Its file may be filled again when the answer
    /// has come: memory that is there already need not be found and cleared.
    pub(super) fn lend(mut self, head: &[u8]) -> io::Result<(File, OwnedFd, Label)> {
        let label = self.label(head)?;
        let reader = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        Ok((self.file, reader.into(), label))
    }

    fn label(&mut self, head: &[u8]) -> io::Result<Label> {
        let head = self.bytes(head)?;
        let mut label = Label::default();
        label[..8].copy_from_slice(&head.start.to_le_bytes());
        label[8..].copy_from_slice(&head.end.to_le_bytes());
        Ok(label)
    }
}

fn write_all_vectored(file: &mut File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A parcel that was received.
pub(super) struct Parcel {
    bytes: Bytes,
    head: Bytes,
}

impl Parcel {
    /// Maps a parcel after checking that it can't change and that its head lies inside.
    pub(super) fn open(fd: OwnedFd, label: &[u8]) -> io::Result<Self> {
        if !fcntl_get_seals(fd.as_fd())?.contains(SEALS) {
            return Err(invalid("a parcel is not sealed"));
        }
        // SAFETY: the seals rule out that the file changes or shrinks while it is mapped.
        unsafe { Self::map(&fd, label) }
    }

    /// Maps a parcel that was lent.
    ///
    /// # Safety
    /// Whoever lent it must leave it alone until the parcel is dropped.
    pub(super) unsafe fn borrow(fd: OwnedFd, label: &[u8]) -> io::Result<Self> {
        // SAFETY: as the caller says.
        unsafe { Self::map(&fd, label) }
    }

    /// # Safety
    /// The file must neither change nor shrink while it is mapped.
    unsafe fn map(fd: &OwnedFd, label: &[u8]) -> io::Result<Self> {
        let label: &Label = label.try_into().map_err(|_| invalid("a parcel's label has the wrong size"))?;
        let (start, end) = label.split_at(8);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("half a label is eight bytes"));
        let head = number(start)..number(end);
        if head.end > fstat(fd)?.st_size as u64 {
            return Err(invalid("a parcel's head is outside"));
        }
        // Nothing lies behind the head. A private mapping: kernels before 6.7 refuse shared ones of a file that is sealed
        // against writing.
        // SAFETY: as the caller says.
        let map = unsafe { MmapOptions::new().len(head.end as usize).populate().map_copy_read_only(fd)? };
        let mut parcel = Self { bytes: Bytes::from_owner(map), head: Bytes::new() };
        parcel.head = parcel.part(&head).ok_or_else(|| invalid("a parcel's head is outside"))?;
        Ok(parcel)
    }

    /// What says what lies where.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// A part of the body; `None` when there is no such range.
    pub(super) fn part(&self, range: &Range<u64>) -> Option<Bytes> {
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        self.bytes.get(range.clone()).is_some().then(|| self.bytes.slice(range))
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_arrives_whole() {
        let mut draft = Draft::new().unwrap();
        let text = draft.bytes(b"abc").unwrap();
        let buffers = draft.buffers(&[Buffer::from(&[1u8, 2]), Buffer::from(&[]), Buffer::from(&[3u8])]).unwrap();
        let (fd, label) = draft.seal(b"head").unwrap();
        let parcel = Parcel::open(fd, &label).unwrap();
        assert_eq!((parcel.head(), buffers.start), (&b"head"[..], 64));
        assert_eq!(parcel.part(&text).unwrap(), "abc");
        assert_eq!(parcel.part(&buffers).unwrap(), &[1u8, 2, 3][..]);
        assert_eq!(parcel.part(&(0..1_000_000)), None);
        #[expect(clippy::reversed_empty_ranges)]
        let backwards = 3..1;
        assert_eq!(parcel.part(&backwards), None);
    }

    #[test]
    fn files_are_cut_and_sealed_parcels_do_not_change() {
        let source = File::from(memfd_create("source", MemfdFlags::CLOEXEC).unwrap());
        (&source).write_all(b"0123456789").unwrap();
        let mut draft = Draft::new().unwrap();
        assert_eq!(draft.file(&source, 0..4).unwrap(), 0..4);
        assert_eq!(draft.file(&source, 0..99).unwrap(), 4..14);
        assert_eq!(draft.file(&source, 3..5).unwrap(), 14..16);
        assert_eq!(draft.file(&source, 10..12).unwrap(), 16..16);
        let (fd, label) = draft.seal(b"").unwrap();
        let mut again = File::from(fd.try_clone().unwrap());
        assert!(again.write_all(b"x").is_err() && again.set_len(0).is_err());
        assert_eq!(Parcel::open(fd, &label).unwrap().part(&(2..16)).unwrap(), "23012345678934");
    }

    #[test]
    fn a_lent_parcel_can_be_filled_again() {
        let mut draft = Draft::new().unwrap();
        let long = draft.bytes(&[b'x'; 10_000]).unwrap();
        let (file, fd, label) = draft.lend(b"first").unwrap();
        assert!(File::from(fd.try_clone().unwrap()).write_all(b"x").is_err(), "it can only be read");
        assert!(Parcel::open(fd.try_clone().unwrap(), &label).is_err(), "it is not sealed");
        // SAFETY: the file is filled again when this parcel is gone.
        let parcel = unsafe { Parcel::borrow(fd, &label) }.unwrap();
        assert_eq!((parcel.head(), parcel.part(&long).unwrap().len()), (&b"first"[..], 10_000));
        drop(parcel);
        let mut draft = Draft::again(file).unwrap();
        let short = draft.bytes(b"yes").unwrap();
        let (_file, fd, label) = draft.lend(b"second").unwrap();
        // SAFETY: nobody fills the file again.
        let parcel = unsafe { Parcel::borrow(fd, &label) }.unwrap();
        assert_eq!((parcel.head(), parcel.part(&short).unwrap()), (&b"second"[..], Bytes::from_static(b"yes")));
        assert_eq!(parcel.part(&long), None, "what an earlier parcel held is out of reach");
    }

    #[test]
    fn what_is_not_sealed_or_lies_outside_is_refused() {
        let open = memfd_create("open", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        assert!(Parcel::open(open, &[0; 16]).is_err());
        let sealed = || Draft::new().unwrap().seal(b"head").unwrap().0;
        assert!(Parcel::open(sealed(), &[0xff; 16]).is_err());
        assert!(Parcel::open(sealed(), b"short").is_err());
    }
}
