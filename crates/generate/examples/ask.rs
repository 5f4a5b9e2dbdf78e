//! Asks what stands in each line of the standard input.
#![expect(clippy::unwrap_used, reason = "for trying things out")]

fn main() {
    let now = "2026-02-03T04:05:06.789Z".parse().unwrap();
    let store = "3f2a9c1e-52d4-4b7a-9a53-0d6f4b1c8e21".parse().unwrap();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        match opentrail_generate::generate(&line, store, now) {
            Ok(generated) => println!("+ {line}\n    {}", generated.understood),
            Err(refusal) => println!("- {line}\n    {refusal}"),
        }
    }
}
