//! The default chain of aws-sdk-rust. usage: who | loop SECONDS, as in ../loop.py.
use aws_sdk_sts::error::DisplayErrorContext;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let sts = aws_sdk_sts::Client::new(&config);
    let whoami = || async {
        match sts.get_caller_identity().send().await {
            Ok(id) => Ok(id.arn.unwrap_or_default()),
            Err(e) => Err(DisplayErrorContext(e).to_string()),
        }
    };
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "who" {
        match whoami().await {
            Ok(arn) => println!("{arn}"),
            Err(e) => {
                eprintln!("{e}");
                std::process::exit(1)
            }
        }
        return;
    }
    let (mut calls, mut errors, mut arns) = (0, vec![], BTreeSet::new());
    let length = Duration::from_secs_f64(args[2].parse().unwrap());
    let begun = Instant::now();
    while begun.elapsed() < length {
        calls += 1;
        match whoami().await {
            Ok(arn) => drop(arns.insert(arn)),
            Err(e) => errors.push(e),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let told = serde_json::json!({"version": "aws-config 1.13.0", "calls": calls, "errors": errors, "arns": arns});
    println!("{told}");
}
