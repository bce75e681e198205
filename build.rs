//! Compiles the C++ shim and links libtorch with a run path, when the `train` feature is on.
//!
//! Every final binary needs these link arguments from its own build script: cargo does not hand
//! a dependency's down, and without them libtorch would not be found when the binary starts.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "train")]
    torch();
}

#[cfg(feature = "train")]
fn torch() {
    use std::{env, path::PathBuf};

    let sources = [
        "guard.h",
        "shim.cpp",
        "cross_entropy.cpp",
        "group.cpp",
        "cuda.cpp",
        "cuda.hpp",
        "gloo_headers",
    ];
    for source in sources {
        println!("cargo:rerun-if-changed=src/train/{source}");
    }
    // Set by torch-sys, whose `links` key is "tch".
    let lib = PathBuf::from(
        env::var("DEP_TCH_LIBTORCH_LIB")
            .expect("torch-sys names the folder of libtorch's libraries"),
    );
    let home = lib.parent().expect("a library folder has a parent");
    let include = home.join("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        // Dropout's factors are drawn here: fast, and on libtorch's threads.
        .opt_level(3)
        .flag_if_supported("-fopenmp")
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        // The few of gloo's headers that c10d's includes; the wheel has none of them.
        .include("src/train/gloo_headers")
        .file("src/train/shim.cpp")
        .file("src/train/cross_entropy.cpp")
        .file("src/train/group.cpp")
        .file("src/train/cuda.cpp")
        .compile("hexapla_shim");
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-ltorch");
}
