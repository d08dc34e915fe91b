//! The codec of `SendEvents`: ready bytes out, a prost answer in.
//!
//! A batch is final protobuf already, so encoding it is one copy into the frame that goes to the socket. One codec is
//! made per call, because it is told the length of the batch and lets tonic allocate that frame once.

use std::{marker::PhantomData, sync::Arc};

use bytes::Buf;
use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::{Batch, proto};

/// What gRPC puts in front of each message: a flag and a length.
const GRPC_HEADER_BYTES: usize = 5;

/// How much memory an answer starts with. An `EventBatchResponse` is a flag and a sentence; a longer one grows.
const ANSWER_BUFFER_BYTES: usize = 512;

/// Writes an [`Arc<Batch>`] and reads an `EventBatchResponse`.
#[derive(Debug)]
pub(crate) struct BatchCodec {
    frame: BufferSettings,
}

impl BatchCodec {
    /// For a batch of `encoded_len` bytes that is sent as it is.
    pub(crate) fn plain(encoded_len: usize) -> Self {
        let frame = encoded_len.saturating_add(GRPC_HEADER_BYTES);
        Self { frame: BufferSettings::new(frame, frame) }
    }

    /// For a batch that is compressed on the way out: nobody knows its length yet.
    pub(crate) fn compressed() -> Self {
        Self { frame: BufferSettings::default() }
    }
}

impl Codec for BatchCodec {
    type Encode = Arc<Batch>;
    type Decode = proto::EventBatchResponse;
    type Encoder = BatchEncoder;
    type Decoder = MessageDecoder<proto::EventBatchResponse>;

    fn encoder(&mut self) -> BatchEncoder {
        BatchEncoder { frame: self.frame }
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(PhantomData)
    }
}

/// See [`BatchCodec`].
#[derive(Debug)]
pub(crate) struct BatchEncoder {
    frame: BufferSettings,
}

impl Encoder for BatchEncoder {
    type Item = Arc<Batch>;
    type Error = Status;

    fn encode(&mut self, batch: Arc<Batch>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(batch.encoded_len());
        batch.encode(out);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.frame
    }
}

/// Reads a prost message.
#[derive(Debug)]
pub(crate) struct MessageDecoder<M>(PhantomData<M>);

impl<M: Message + Default> Decoder for MessageDecoder<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        let length = bytes.remaining();
        M::decode(bytes).map(Some).map_err(|error| {
            Status::internal(format!("the answer of {length} bytes is not the message it should be: {error}"))
        })
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(ANSWER_BUFFER_BYTES, ANSWER_BUFFER_BYTES)
    }
}
