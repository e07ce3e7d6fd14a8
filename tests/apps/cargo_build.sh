# needs: cargo rustc
# timeout: 180
exec 2>&1
export PATH=/usr/bin:/bin
export CARGO_HOME="$PWD/home" CARGO_TERM_COLOR=never
cargo new --quiet --vcs none hello; cd hello
mkdir -p ../dep/src; printf '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n' > ../dep/Cargo.toml
echo 'pub fn total(n: u64) -> u64 { let t: Vec<_> = (0..4).map(|k| std::thread::spawn(move || (0..n).filter(|x| x % 4 == k).sum::<u64>())).collect(); t.into_iter().map(|t| t.join().unwrap()).sum() } #[cfg(test)] mod tests { #[test] fn adds() { assert_eq!(super::total(10), 45) } }' > ../dep/src/lib.rs
echo 'dep = { path = "../dep" }' >> Cargo.toml
echo 'use std::io::Write; fn main() { println!("{}", dep::total(1000)); let mut f = std::fs::File::create("out").unwrap(); writeln!(f, "{:?}", std::env::args().skip(1).collect::<Vec<_>>()).unwrap(); let r = std::panic::catch_unwind(|| panic!("x")); println!("{}", r.is_err()) }' > src/main.rs
cargo build --offline 2>&1 | sed 's/ in [0-9.]*s$//; s,(/[^)]*),,'; cargo run --offline -q -- a b 2> /dev/null; cat out
cargo test --offline -q --manifest-path ../dep/Cargo.toml 2>&1 | grep '^test result' | sed 's/; finished.*//'
touch src/main.rs; cargo build --offline --release 2>&1 | grep -c Compiling; ./target/release/hello 2> /dev/null
