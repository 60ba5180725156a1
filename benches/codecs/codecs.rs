//! Nanoseconds and bytes per record of each codec. `cargo bench`; what came of it is in `docs/codecs.md`.

use abomonation::Abomonation;
use codecs::{Random, mirror};
use columnar::bytes::{indexed, stash::Stash};
use columnar::{Borrow, Clear, Columnar, ContainerOf, Index, Push};
use serde::{Serialize, de::DeserializeOwned};
use std::hint::black_box;
use std::time::{Duration, Instant};
use timely::bytes::arc::BytesMut;
use timely::dataflow::channels::ContainerBytes;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCHES: [usize; 2] = [1024, 65_536];
const ROUNDS: usize = 20;
const RECORDS_PER_ROUND: usize = 65_536;

fn main() {
    println!(
        "{:<26} {:>4} {:>6}  {:<12} {:>7} {:>7} {:>7} {:>9} {:>7}",
        "record", "size", "batch", "codec", "encode", "decode", "both", "in place", "bytes"
    );
    compare::<_, (i64, u64)>("(Instant, u64)", Random::user_in_window);
    compare::<_, (u64, mirror::SignAt)>("(u64, SignAt)", Random::sign);
    compare::<_, (u128, mirror::CartEvent)>("(u128, CartEvent)", Random::cart_event);
    compare::<_, (mirror::ItemId, mirror::OfItem)>("(ItemId, OfItem)", Random::of_item);
    compare::<_, mirror::Arrival>("Arrival of a Registration", Random::arrival);
}

/// One codec's figures; nanoseconds per record, of the best round.
struct Figures {
    encode: f64,
    /// To values an operator can keep.
    decode: Option<f64>,
    /// To something an operator can read, in the bytes received.
    in_place: Option<f64>,
    bytes: Option<f64>,
}

fn compare<R, M>(name: &str, make: fn(&mut Random) -> R)
where
    R: Clone + Serialize + DeserializeOwned,
    M: Clone + Serialize + DeserializeOwned + Abomonation + Columnar,
{
    for batch in BATCHES {
        let mut random = Random(7);
        let records: Vec<R> = (0..batch).map(|_| make(&mut random)).collect();
        let mirrors: Vec<M> = from_bincode(to_bincode(&records));
        assert_eq!(to_bincode(&mirrors), to_bincode(&records), "{name} and its mirror differ");
        assert_eq!(size_of::<M>(), size_of::<R>(), "{name} and its mirror differ in size");
        let codecs = [
            ("none: moved", moved(&records)),
            ("bincode", bincode(&records)),
            ("columnar", columnar(&mirrors)),
            ("abomonation", abomonation(&mirrors)),
        ];
        for (codec, Figures { encode, decode, in_place, bytes }) in codecs {
            let both = encode + decode.unwrap_or_default();
            let show = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| format!("{figure:.1}"));
            println!(
                "{name:<26} {:>4} {batch:>6}  {codec:<12} {:>7} {:>7} {both:>7.1} {:>9} {:>7}",
                size_of::<R>(),
                show(decode.map(|_| encode)),
                show(decode),
                show(in_place),
                show(bytes)
            );
        }
    }
}

/// Nanoseconds per record, of the best round. What `work` makes of what `prepare` made is dropped
/// outside the clock.
fn best<P, T>(batch: usize, mut prepare: impl FnMut() -> P, mut work: impl FnMut(P) -> T) -> f64 {
    let calls = RECORDS_PER_ROUND / batch;
    let round = |_| {
        let mut spent = Duration::ZERO;
        for _ in 0..calls {
            let prepared = black_box(prepare());
            let start = Instant::now();
            let made = black_box(work(prepared));
            spent += start.elapsed();
            drop(made);
        }
        spent.as_nanos() as f64 / (calls * batch) as f64
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// What an exchange between threads does: a record goes from one buffer into another.
fn moved<R: Clone>(records: &[R]) -> Figures {
    let prepare = || (records.to_vec(), Vec::with_capacity(records.len()));
    let encode = best(records.len(), prepare, |(from, mut to)| {
        for record in from {
            to.push(record);
        }
        to
    });
    Figures { encode, decode: None, in_place: None, bytes: None }
}

/// Timely's own: the length first, then into bytes reserved for it.
fn to_bincode<T: Serialize + DeserializeOwned>(records: &Vec<T>) -> Vec<u8> {
    let mut bytes = vec![0; records.length_in_bytes()];
    records.into_bytes(&mut &mut bytes[..]);
    bytes
}

fn from_bincode<T: Serialize + DeserializeOwned>(bytes: Vec<u8>) -> Vec<T> {
    ContainerBytes::from_bytes(BytesMut::from(bytes).freeze())
}

fn bincode<R: Serialize + DeserializeOwned>(records: &Vec<R>) -> Figures {
    let mut bytes = to_bincode(records);
    let encode = best(
        records.len(),
        || (),
        |()| {
            assert!(records.length_in_bytes() <= bytes.len());
            records.into_bytes(&mut &mut bytes[..]);
            black_box(&mut bytes);
        },
    );
    let length = bytes.len();
    let bytes = BytesMut::from(bytes).freeze();
    let decode = best(records.len(), || bytes.clone(), <Vec<R> as ContainerBytes>::from_bytes);
    Figures { encode, decode: Some(decode), in_place: None, bytes: per_record(length, records.len()) }
}

/// As the container of timely's example does it: pushed into columns, and those copied out.
fn columnar<M: Columnar + Serialize + DeserializeOwned>(records: &Vec<M>) -> Figures {
    let mut columns = ContainerOf::<M>::default();
    let mut buffer = Buffer::of(2 * size_of_val(&records[..]) + 4096);
    let mut length = 0;
    let encode = best(
        records.len(),
        || (),
        |()| {
            columns.clear();
            for record in records {
                columns.push(record);
            }
            length = indexed::length_in_bytes(&columns.borrow());
            indexed::write(&mut &mut buffer.bytes()[..length], &columns.borrow()).expect("fits");
            black_box(&mut buffer);
        },
    );
    let bytes = &buffer.bytes()[..length];
    let look = |()| Stash::<ContainerOf<M>, &[u8]>::try_from_bytes(bytes).expect("columns");
    let owned = |()| look(()).borrow().into_index_iter().map(M::into_owned).collect::<Vec<M>>();
    assert_eq!(to_bincode(&owned(())), to_bincode(records), "columnar");
    let decode = best(records.len(), || (), owned);
    let in_place = best(
        records.len(),
        || (),
        |()| {
            black_box(look(()).borrow());
        },
    );
    Figures { encode, decode: Some(decode), in_place: Some(in_place), bytes: per_record(length, records.len()) }
}

/// The memory as it is, and then what it points to; decoding puts the pointers right, in place.
fn abomonation<M: Abomonation + Clone + Serialize + DeserializeOwned>(records: &Vec<M>) -> Figures {
    let mut buffer = Buffer::of(abomonation::measure(records));
    let mut length = 0;
    let encode = best(
        records.len(),
        || (),
        |()| {
            length = abomonation::measure(records);
            // SAFETY: none. Padding is read as if it were bytes: this is why it is not used.
            unsafe { abomonation::encode(records, &mut &mut buffer.bytes()[..length]) }.expect("fits");
            black_box(&mut buffer);
        },
    );
    let bytes = &mut buffer.bytes()[..length];
    let mut owned = |()| look::<M>(bytes).clone();
    assert_eq!(to_bincode(&owned(())), to_bincode(records), "abomonation");
    let decode = best(records.len(), || (), &mut owned);
    let in_place = best(
        records.len(),
        || (),
        |()| {
            black_box(look::<M>(bytes));
        },
    );
    Figures { encode, decode: Some(decode), in_place: Some(in_place), bytes: per_record(length, records.len()) }
}

/// Decoding twice writes the same pointers twice.
fn look<M: Abomonation>(bytes: &mut [u8]) -> &Vec<M> {
    // SAFETY: these bytes were encoded as this type by this program, and `Buffer` places them so that
    // records are aligned. Nothing of this is checked, nor could it be of bytes from elsewhere.
    unsafe { abomonation::decode::<Vec<M>>(bytes) }.expect("as encoded").0
}

fn per_record(bytes: usize, records: usize) -> Option<f64> {
    Some(bytes as f64 / records as f64)
}

/// Bytes eight past an address divisible by sixteen. abomonation puts a `Vec`'s 24 bytes before its
/// records and does not align them: from any other place a record with a `u128` would be misaligned.
struct Buffer(Vec<u128>);

impl Buffer {
    fn of(bytes: usize) -> Buffer {
        Buffer(vec![0; bytes / 16 + 2])
    }

    fn bytes(&mut self) -> &mut [u8] {
        let length = size_of_val(&self.0[..]);
        // SAFETY: any `u128` is sixteen bytes, and any sixteen bytes are a `u128`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast::<u8>(), length) };
        &mut bytes[8..]
    }
}
