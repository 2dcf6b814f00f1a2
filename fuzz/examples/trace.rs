//! Tells what happens in an input of the target `client`: `trace FILE`.

fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("usage: trace FILE"))?;
    klamm_fuzz::targets::trace_client(&std::fs::read(path)?);
    Ok(())
}
