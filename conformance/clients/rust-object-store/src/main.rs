//! The default chain of object_store, as polars, delta-rs and DataFusion have it. usage: who | loop SECONDS, as in ../loop.py.
use object_store::aws::AmazonS3Builder;
use object_store::ObjectStoreExt;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() {
    let store = AmazonS3Builder::from_env()
        .with_bucket_name("conformance")
        .with_endpoint(std::env::var("AWS_ENDPOINT_URL_S3").unwrap())
        .with_allow_http(true)
        .build()
        .unwrap();
    let whoami = || async {
        let got = async { store.get(&"whoami".into()).await?.bytes().await };
        match got.await {
            Ok(arn) => Ok(String::from_utf8_lossy(&arn).into_owned()),
            Err(e) => Err(e.to_string()),
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
    let told = serde_json::json!({"version": "0.14.2", "calls": calls, "errors": errors, "arns": arns});
    println!("{told}");
}
