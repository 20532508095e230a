//! What is timed.

use crate::http::Client;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;

const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";

/// Lists a class from beginning to end, `rounds` times after one that warms up. Instances are counted by their
/// type attribute.
pub(crate) fn enumerate(client: &mut Client, resource: &str, max: usize, rounds: usize) -> Result<Value> {
    let mut seconds = Vec::with_capacity(rounds);
    let (mut instances, mut bytes, mut first_batch) = (0, 0, Vec::with_capacity(rounds));
    for round in 0..=rounds {
        (instances, bytes) = (0, 0);
        let begun = Instant::now();
        let mut next = Some(message(
            "Enumerate",
            resource,
            &format!(
                "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{max}</w:MaxElements></n:Enumerate>"
            ),
        ));
        let mut first = None;
        while let Some(body) = next {
            let answer = client.request(Some(body.as_bytes()))?;
            first.get_or_insert_with(|| begun.elapsed());
            bytes += answer.len();
            instances += count(answer, b"xsi:type=\"p:");
            next = context(answer)?.map(|context| {
                let pull = format!(
                    "<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext><n:MaxElements>{max}</n:MaxElements></n:Pull>"
                );
                message("Pull", resource, &pull)
            });
        }
        if round > 0 {
            seconds.push(begun.elapsed().as_secs_f64());
            first_batch.extend(first.map(|d| d.as_secs_f64()));
        }
    }
    ensure!(instances > 0, "nothing was listed");
    Ok(json!({ "instances": instances, "bytes": bytes, "seconds": seconds, "first_batch": first_batch }))
}

/// The time of each of `count` equal requests, after a tenth as many that warm up.
pub(crate) fn repeat(client: &mut Client, body: Option<&[u8]>, count: usize) -> Result<Value> {
    let mut times = Vec::with_capacity(count);
    let mut bytes = 0;
    for turn in 0..count + count / 10 {
        let begun = Instant::now();
        bytes = client.request(body)?.len();
        if turn >= count / 10 {
            times.push(begun.elapsed().as_secs_f64());
        }
    }
    let total: f64 = times.iter().sum();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok(json!({ "count": times.len(), "bytes": bytes, "seconds": total, "p50": at(0.5), "p99": at(0.99) }))
}

fn message(action: &str, resource: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:n=\"{ENUMERATION}\" \
         xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\"><s:Header>\
         <a:Action>{ENUMERATION}/{action}</a:Action><a:To>https://localhost/wsman</a:To>\
         <w:ResourceURI>{resource}</w:ResourceURI><a:MessageID>uuid:{}</a:MessageID><a:ReplyTo><a:Address>\
         http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>\
         <w:MaxEnvelopeSize>4194304</w:MaxEnvelopeSize></s:Header><s:Body>{body}</s:Body></s:Envelope>",
        Uuid::new_v4()
    )
}

/// Where to go on: what stands in the context, unless it is empty.
fn context(answer: &[u8]) -> Result<Option<String>> {
    let (tag, end) = (b"<n:EnumerationContext>", b"</n:EnumerationContext>");
    let Some(start) = find(answer, tag) else { return Ok(None) };
    let rest = &answer[start + tag.len()..];
    let length = find(rest, end).context("the context does not end")?;
    Ok(Some(String::from_utf8(rest[..length].to_vec())?).filter(|text| !text.is_empty()))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    // A search by the first byte is several times as fast as one by windows, and the client shares the machine.
    let mut found = 0;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|b| *b == what[0]) {
        rest = &rest[at..];
        if rest.starts_with(what) {
            found += 1;
            rest = &rest[what.len()..];
        } else {
            rest = &rest[1..];
        }
    }
    found
}
