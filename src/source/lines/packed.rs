//! The bytes of a file, unpacked if it is gzip, whatever its name.
//!
//! A gzip file may have several members, and zeros behind the last one, as tapes and block devices leave
//! them. All that comes before a damage is handed out; only then is it told.

use flate2::{Decompress, FlushDecompress, Status};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};

/// How gzip begins.
pub(super) const GZIP: [u8; 2] = [0x1F, 0x8B];

/// How much of a file is read at a time, if more is not asked for.
const CHUNK: usize = 1 << 16;

/// So many steps are taken in one reading: members may hold nothing, and so may what stands between them.
const STEPS: usize = 256;

/// What a reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// So many bytes, at least one.
    Bytes(usize),
    /// None yet: much was read, and nothing is in it.
    Nothing,
    /// All bytes so far are what was packed: their checksum says so.
    Sound,
    /// There are no more.
    End,
}

/// What is wrong with the bytes of a file. Once found it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// The system could not read it.
    Unreadable(String),
    /// The gzip data stop in their middle.
    Cut,
    /// They cannot be unpacked.
    Broken,
    /// What was unpacked has another checksum.
    Checksum,
    /// Something else follows them.
    Behind,
}

enum GzipState {
    /// Not packed at all.
    Plain,
    /// Before a member, or at the end.
    Header { first: bool },
    /// In the deflated data of a member.
    Body,
    /// Before the checksum of a member.
    Trailer,
}

pub(super) struct Packed {
    file: BufReader<File>,
    state: GzipState,
    inflate: Decompress,
    checksum: crc32fast::Hasher,
    damage: Option<Damage>,
}

impl Packed {
    pub(super) fn new(file: File) -> Result<Packed, Damage> {
        let mut file = BufReader::with_capacity(CHUNK, file);
        let packed = file.fill_buf().map_err(unreadable)?.starts_with(&GZIP);
        let state = if packed { GzipState::Header { first: true } } else { GzipState::Plain };
        Ok(Packed { file, state, inflate: Decompress::new(false), checksum: Default::default(), damage: None })
    }

    /// How many bytes of the file were read, some of them in advance.
    pub(super) fn file_bytes(&self) -> u64 {
        let mut file = self.file.get_ref();
        // Unknown is shown as not begun.
        file.stream_position().unwrap_or_default()
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        self.file.get_ref()
    }

    pub(super) fn is_gzip(&self) -> bool {
        !matches!(self.state, GzipState::Plain)
    }

    /// The next bytes, into the beginning of `out`, which has room for some.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<Got, Damage> {
        if let Some(damage) = &self.damage {
            return Err(damage.clone());
        }
        let got = self.next(out);
        if let Err(damage) = &got {
            self.damage = Some(damage.clone());
        }
        got
    }

    fn next(&mut self, out: &mut [u8]) -> Result<Got, Damage> {
        for _ in 0..STEPS {
            match self.state {
                GzipState::Plain => {
                    let got = loop {
                        match self.file.read(out) {
                            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                            got => break got.map_err(unreadable)?,
                        }
                    };
                    return Ok(if got == 0 { Got::End } else { Got::Bytes(got) });
                }
                GzipState::Header { first } => {
                    if !first && self.pads()? {
                        continue;
                    }
                    if !self.header()? {
                        return Ok(Got::End);
                    }
                    self.inflate.reset(false);
                    self.checksum = crc32fast::Hasher::new();
                    self.state = GzipState::Body;
                }
                GzipState::Body => {
                    let got = self.inflate(out)?;
                    if got > 0 {
                        return Ok(Got::Bytes(got));
                    }
                }
                GzipState::Trailer => {
                    let trailer = self.bytes::<8>()?;
                    let size = self.inflate.total_out() as u32;
                    let said = [self.checksum.clone().finalize().to_le_bytes(), size.to_le_bytes()].concat();
                    if trailer[..] != said[..] {
                        return Err(Damage::Checksum);
                    }
                    self.state = GzipState::Header { first: false };
                    return Ok(Got::Sound);
                }
            }
        }
        Ok(Got::Nothing)
    }

    /// Goes over zeros, as many as are at hand; tells whether there were any.
    fn pads(&mut self) -> Result<bool, Damage> {
        let buffered = self.file.fill_buf().map_err(unreadable)?;
        let padding = buffered.iter().take_while(|byte| **byte == 0).count();
        self.file.consume(padding);
        Ok(padding > 0)
    }

    /// Goes behind the header of a member; tells whether there is one.
    fn header(&mut self) -> Result<bool, Damage> {
        const EXTRA: u8 = 4;
        const NAME: u8 = 8;
        const COMMENT: u8 = 16;
        const CHECKSUM: u8 = 2;
        if self.file.fill_buf().map_err(unreadable)?.is_empty() {
            return Ok(false);
        }
        for byte in GZIP {
            if self.bytes::<1>()?[0] != byte {
                return Err(Damage::Behind);
            }
        }
        let [method, flags, ..] = self.bytes::<8>()?;
        if method != 8 || flags & 0xE0 != 0 {
            return Err(Damage::Broken);
        }
        if flags & EXTRA != 0 {
            for _ in 0..u16::from_le_bytes(self.bytes()?) {
                self.bytes::<1>()?;
            }
        }
        for text in [NAME, COMMENT] {
            let mut bytes = 0;
            while flags & text != 0 && self.bytes::<1>()? != [0] {
                bytes += 1;
                // No name is so long.
                if bytes > CHUNK {
                    return Err(Damage::Broken);
                }
            }
        }
        if flags & CHECKSUM != 0 {
            self.bytes::<2>()?;
        }
        Ok(true)
    }

    /// Unpacks some of a member; none if it has to be called again, or the member has ended.
    fn inflate(&mut self, out: &mut [u8]) -> Result<usize, Damage> {
        let input = self.file.fill_buf().map_err(unreadable)?;
        let (given, before) = (input.len(), (self.inflate.total_in(), self.inflate.total_out()));
        let status = self.inflate.decompress(input, out, FlushDecompress::None);
        let taken = (self.inflate.total_in() - before.0) as usize;
        let got = (self.inflate.total_out() - before.1) as usize;
        self.file.consume(taken);
        self.checksum.update(&out[..got]);
        let damage = match status {
            Ok(Status::StreamEnd) => {
                self.state = GzipState::Trailer;
                return Ok(got);
            }
            Ok(_) if got > 0 || taken > 0 => return Ok(got),
            Ok(_) if given == 0 => Damage::Cut,
            Ok(_) | Err(_) => Damage::Broken,
        };
        if got == 0 {
            return Err(damage);
        }
        self.damage = Some(damage);
        Ok(got)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof { Damage::Cut } else { unreadable(error) }
        })?;
        Ok(bytes)
    }
}

fn unreadable(error: std::io::Error) -> Damage {
    Damage::Unreadable(error.to_string())
}
