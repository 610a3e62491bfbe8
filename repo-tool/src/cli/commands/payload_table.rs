//! What a payload is made of: where its bytes went, and where those of the image come from.

use firmware_delta::Summary;
use firmware_delta::format::StreamKind;
use serde_json::{Value, json};

use crate::output::{bytes, percent};

/// Characters of the longest bar.
const WIDTH: u64 = 30;

/// A row: what it is, its bytes, and what else there is to say.
struct Row(&'static str, u64, String);

/// The same for programs.
pub(super) fn parts(summary: &Summary) -> Value {
    let segments = summary.segments();
    let streams: serde_json::Map<String, Value> = StreamKind::ALL
        .into_iter()
        .map(|kind| {
            let stream = summary.stream(kind);
            let value = json!({
                "bytes": stream.encoded,
                "decoded": stream.decoded,
                "lzma2": stream.lzma2,
            });
            (kind.to_string(), value)
        })
        .collect();
    let cost = summary.cost();
    json!({
        "streams": streams,
        "map": summary.map().map(|(pieces, map)| json!({
            "pieces": pieces,
            "bytes": map.encoded,
            "decoded": map.decoded,
        })),
        "predicted": summary.predicted(),
        "overhead": summary.overhead(),
        "image": {
            "unchanged": segments.copied,
            "zeros": segments.zeros,
            "made": segments.plain,
            "packed": segments.packed,
        },
        "unpacked": segments.sources,
        "device": { "milliseconds": cost.milliseconds, "memory": cost.memory },
    })
}

/// The lines below the names and sizes.
pub(super) fn table(summary: &Summary) -> Vec<String> {
    let segments = summary.segments();
    let about = |kind| match kind {
        StreamKind::Recipe => "what is unpacked, packed, copied",
        StreamKind::Modes => "how addresses are read",
        StreamKind::Control => "what is copied and changed",
        StreamKind::Add => "the changes",
        StreamKind::Extra => "new bytes",
    };
    let mut payload: Vec<Row> = StreamKind::ALL
        .into_iter()
        .map(|kind| {
            let stream = summary.stream(kind);
            let name = match kind {
                StreamKind::Recipe => "recipe",
                StreamKind::Modes => "modes",
                StreamKind::Control => "control",
                StreamKind::Add => "add",
                StreamKind::Extra => "extra",
            };
            let note = format!("{}, {} decoded", about(kind), bytes(stream.decoded));
            Row(name, stream.encoded, note)
        })
        .collect();
    if let Some((pieces, map)) = summary.map() {
        let note = format!("what moved where, {pieces} pieces");
        payload.push(Row("map", map.encoded, note));
    }
    payload.push(Row(
        "chain",
        summary.overhead(),
        "header, digests and lengths".to_owned(),
    ));
    let packed = format!("packed again from {}", bytes(segments.unpacked));
    let image = [
        Row("unchanged", segments.copied, "copied as it is".to_owned()),
        Row("zeros", segments.zeros, String::new()),
        Row("made", segments.plain, "from the streams".to_owned()),
        Row("packed", segments.packed, packed),
    ];
    let mut lines = vec![String::new(), "the payload".to_owned()];
    lines.extend(bars(&payload));
    lines.extend([String::new(), "the new image".to_owned()]);
    lines.extend(bars(&image));
    let predicted = summary.predicted();
    if summary.header.predicts {
        let names = [
            "as they are",
            "arm64",
            "x86-64",
            "distances",
            "pointers",
            "short pointers",
        ];
        let rows: Vec<Row> = names
            .into_iter()
            .zip(predicted)
            .map(|(name, count)| Row(name, count, String::new()))
            .collect();
        lines.extend([String::new(), "how decoded bytes are read".to_owned()]);
        lines.extend(bars(&rows));
    }
    let cost = summary.cost();
    let (seconds, tenths) = (
        cost.milliseconds.checked_div(1000).unwrap_or(0),
        cost.milliseconds
            .checked_div(100)
            .and_then(|tenths| tenths.checked_rem(10))
            .unwrap_or(0),
    );
    lines.push(String::new());
    lines.push(format!(
        "device  about {seconds}.{tenths} s on a server's core, {} of memory",
        bytes(cost.memory)
    ));
    lines
}

/// One line for each row that has bytes: name, bytes, share, a bar.
fn bars(rows: &[Row]) -> Vec<String> {
    let sum = rows
        .iter()
        .fold(0_u64, |sum, row| sum.saturating_add(row.1));
    rows.iter()
        .filter(|row| row.1 > 0)
        .map(|Row(name, count, note)| {
            let length = u128::from(*count)
                .saturating_mul(WIDTH.into())
                .checked_div(sum.into())
                .unwrap_or(0);
            // At least a trace of what is there at all.
            let bar: String = (0..length.max(1)).map(|_| '#').collect();
            let share = percent(*count, sum);
            let size = bytes(*count);
            let line = format!("  {name:<10}{size:>12}{share:>8}  {bar:<30}  {note}");
            line.trim_end().to_owned()
        })
        .collect()
}
