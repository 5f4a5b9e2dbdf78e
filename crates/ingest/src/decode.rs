use std::io::Write;

use bytes::BytesMut;
use flate2::write::MultiGzDecoder;
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several, with windows of at most 8 MiB.
    Zstd,
}

/// As much as is decoded before what came out is looked at. gzip grows its input a thousandfold at most, so that a
/// bomb costs a megabyte.
const GZIP_PIECE: usize = 1 << 10;
const ZSTD_OUT: usize = 128 << 10;
const WINDOW_LOG_MAX: u32 = 23;

/// Decodes a body piece by piece.
pub(crate) enum Decoder {
    Identity,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd {
        decoder: ZstdDecoder<'static>,
        /// Whether the input so far ends a frame.
        at_end: bool,
        out: Vec<u8>,
    },
}

impl Decoder {
    pub(crate) fn new(encoding: Encoding) -> Result<Self, String> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new().map_err(|error| error.to_string())?;
                let limit = zstd::stream::raw::DParameter::WindowLogMax(WINDOW_LOG_MAX);
                decoder.set_parameter(limit).map_err(|error| error.to_string())?;
                Self::Zstd { decoder, at_end: true, out: vec![0; ZSTD_OUT] }
            }
        })
    }

    /// Takes some of `input` and appends what it decodes to; returns how much was taken. About a megabyte comes out at
    /// once, at most.
    pub(crate) fn decode(&mut self, input: &[u8], decoded: &mut BytesMut) -> Result<usize, String> {
        match self {
            Self::Identity => {
                decoded.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Gzip(decoder) => {
                let taken = decoder.write(&input[..input.len().min(GZIP_PIECE)]).map_err(|error| error.to_string())?;
                if taken == 0 && !input.is_empty() {
                    return Err("the gzip data makes no progress".into());
                }
                decoded.extend_from_slice(decoder.get_ref());
                decoder.get_mut().clear();
                Ok(taken)
            }
            Self::Zstd { decoder, at_end, out } => {
                let mut source = InBuffer::around(input);
                let mut target = OutBuffer::around(out.as_mut_slice());
                let hint = decoder.run(&mut source, &mut target).map_err(|error| error.to_string())?;
                let (taken, made) = (source.pos(), target.pos());
                decoded.extend_from_slice(&out[..made]);
                *at_end = hint == 0;
                if *at_end && taken < input.len() {
                    // Another frame follows.
                    decoder.reinit().map_err(|error| error.to_string())?;
                }
                if taken == 0 && made == 0 && !input.is_empty() {
                    return Err("the zstd data makes no progress".into());
                }
                Ok(taken)
            }
        }
    }

    /// Appends what was held back; the input is at its end.
    pub(crate) fn finish(&mut self, decoded: &mut BytesMut) -> Result<(), String> {
        match self {
            Self::Identity => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|error| error.to_string())?;
                decoded.extend_from_slice(decoder.get_ref());
                decoder.get_mut().clear();
                Ok(())
            }
            Self::Zstd { at_end: true, .. } => Ok(()),
            Self::Zstd { .. } => Err("the zstd data is cut short".into()),
        }
    }
}
