//! The languages as data: names, extensions, file names and interpreters.

use serde::{Deserialize, Serialize};

/// How files of a language are called. Lists are separated by spaces.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Extensions without the dot, lower-case.
    pub extensions: &'static str,
    /// Whole file names.
    pub files: &'static str,
    /// Programs of a `#!` line, without version.
    pub interpreters: &'static str,
}

macro_rules! languages {
    ($( $variant:ident = $name:literal { $($field:ident: $value:literal),* } )+) => {
        /// A language Lode knows by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum Language { $($variant),+ }

        impl Language {
            /// Every language.
            pub const ALL: &[Language] = &[$(Self::$variant),+];

            /// Name in tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            #[allow(clippy::needless_update)]
            pub(super) fn names(self) -> Names {
                match self { $(Self::$variant => Names { $($field: $value,)* ..Names::default() }),+ }
            }
        }
    };
}

languages! {
    // Languages with a grammar.
    Python = "python" { extensions: "py pyi pyw", files: "SConstruct SConscript wscript", interpreters: "python pypy pythonw" }
    Rust = "rust" { extensions: "rs", interpreters: "rust-script" }
    JavaScript = "javascript" { extensions: "js mjs cjs jsx", files: "Jakefile", interpreters: "node nodejs bun qjs" }
    TypeScript = "typescript" { extensions: "ts mts cts", interpreters: "ts-node tsx deno" }
    Tsx = "tsx" { extensions: "tsx" }
    Go = "go" { extensions: "go" }
    Java = "java" { extensions: "java" }
    C = "c" { extensions: "c h", interpreters: "tcc" }
    Cpp = "cpp" { extensions: "cc cpp cxx c++ hh hpp hxx h++ ipp ixx tpp txx inl" }

    // Languages by name alone.
    Cython = "cython" { extensions: "pyx pxd pxi" }
    Ada = "ada" { extensions: "adb ads" }
    Asciidoc = "asciidoc" { extensions: "adoc asciidoc" }
    Assembly = "assembly" { extensions: "asm s nasm" }
    Awk = "awk" { extensions: "awk", interpreters: "awk gawk mawk nawk" }
    Batch = "batch" { extensions: "bat cmd" }
    Clojure = "clojure" { extensions: "clj cljs cljc edn", interpreters: "bb clojure" }
    Cmake = "cmake" { extensions: "cmake", files: "CMakeLists.txt" }
    CommonLisp = "common_lisp" { extensions: "lisp lsp asd", interpreters: "sbcl clisp" }
    Crystal = "crystal" { extensions: "cr", interpreters: "crystal" }
    CSharp = "csharp" { extensions: "cs csx" }
    Css = "css" { extensions: "css" }
    Csv = "csv" { extensions: "csv" }
    Cuda = "cuda" { extensions: "cu cuh" }
    D = "d" { extensions: "d" }
    Dart = "dart" { extensions: "dart", interpreters: "dart" }
    Diff = "diff" { extensions: "diff patch" }
    Dockerfile = "dockerfile" { extensions: "dockerfile containerfile", files: "Dockerfile Containerfile" }
    Elixir = "elixir" { extensions: "ex exs", interpreters: "elixir" }
    Elm = "elm" { extensions: "elm" }
    EmacsLisp = "emacs_lisp" { extensions: "el", files: ".emacs" }
    Erlang = "erlang" { extensions: "erl hrl", files: "rebar.config", interpreters: "escript" }
    Fish = "fish" { extensions: "fish", interpreters: "fish" }
    Fortran = "fortran" { extensions: "f for f77 f90 f95 f03 f08" }
    FSharp = "fsharp" { extensions: "fs fsi fsx" }
    Glsl = "glsl" { extensions: "glsl vert frag" }
    Graphql = "graphql" { extensions: "graphql gql graphqls" }
    Groovy = "groovy" { extensions: "groovy gradle gvy", files: "Jenkinsfile", interpreters: "groovy" }
    Haskell = "haskell" { extensions: "hs lhs", interpreters: "runhaskell runghc stack" }
    Hcl = "hcl" { extensions: "hcl tf tfvars nomad" }
    Html = "html" { extensions: "html htm xhtml" }
    Ini = "ini" { extensions: "ini cfg", files: ".editorconfig .gitconfig .gitmodules .flake8 .pylintrc .coveragerc .npmrc" }
    Json = "json" { extensions: "json jsonc json5 geojson webmanifest", files: ".babelrc .eslintrc .prettierrc composer.lock Pipfile.lock flake.lock" }
    JsonLines = "json_lines" { extensions: "jsonl ndjson" }
    Jsonnet = "jsonnet" { extensions: "jsonnet libsonnet" }
    Julia = "julia" { extensions: "jl", interpreters: "julia" }
    Jupyter = "jupyter" { extensions: "ipynb" }
    Kotlin = "kotlin" { extensions: "kt kts", interpreters: "kotlin" }
    Less = "less" { extensions: "less" }
    Lua = "lua" { extensions: "lua rockspec", interpreters: "lua luajit" }
    Make = "make" { extensions: "mk mak make", files: "Makefile makefile GNUmakefile BSDmakefile Kbuild", interpreters: "make gmake" }
    Markdown = "markdown" { extensions: "md markdown mdown mkd mdx" }
    Meson = "meson" { files: "meson.build meson_options.txt meson.options" }
    Nim = "nim" { extensions: "nim nims nimble" }
    Nix = "nix" { extensions: "nix", interpreters: "nix-shell" }
    ObjectiveC = "objective_c" { extensions: "m mm" }
    OCaml = "ocaml" { extensions: "ml mli mll mly", interpreters: "ocaml" }
    Pascal = "pascal" { extensions: "pas dpr lpr" }
    Perl = "perl" { extensions: "pl pm pod", files: "Makefile.PL cpanfile", interpreters: "perl" }
    Php = "php" { extensions: "php php3 php4 php5 phtml", interpreters: "php" }
    PowerShell = "powershell" { extensions: "ps1 psm1 psd1", interpreters: "pwsh powershell" }
    Prolog = "prolog" { extensions: "pro prolog", interpreters: "swipl" }
    Properties = "properties" { extensions: "properties" }
    Protobuf = "protobuf" { extensions: "proto" }
    R = "r" { extensions: "r rmd", files: ".Rprofile", interpreters: "Rscript" }
    Racket = "racket" { extensions: "rkt", interpreters: "racket" }
    ReStructuredText = "restructuredtext" { extensions: "rst" }
    Ruby = "ruby" { extensions: "rb rake gemspec ru podspec", files: "Rakefile Gemfile Podfile Vagrantfile Brewfile Guardfile Fastfile", interpreters: "ruby jruby rake" }
    Sass = "sass" { extensions: "sass" }
    Scala = "scala" { extensions: "scala sbt sc", interpreters: "scala amm" }
    Scheme = "scheme" { extensions: "scm ss sld", interpreters: "guile chicken" }
    Scss = "scss" { extensions: "scss" }
    Shell = "shell" { extensions: "sh bash zsh ksh dash bats ebuild", files: ".bashrc .bash_profile .bash_aliases .bash_logout .profile .zshrc .zshenv .zprofile .envrc PKGBUILD APKBUILD", interpreters: "sh bash dash zsh ksh mksh ash bats" }
    Solidity = "solidity" { extensions: "sol" }
    Sql = "sql" { extensions: "sql ddl dml psql" }
    Starlark = "starlark" { extensions: "bzl star bazel", files: "BUILD WORKSPACE Tiltfile BUCK" }
    Svelte = "svelte" { extensions: "svelte" }
    Swift = "swift" { extensions: "swift", interpreters: "swift" }
    Tcl = "tcl" { extensions: "tcl", interpreters: "tclsh wish expect" }
    Tex = "tex" { extensions: "tex sty cls bib ltx" }
    Text = "text" { extensions: "txt text", files: "LICENSE LICENCE COPYING NOTICE AUTHORS CONTRIBUTORS README INSTALL TODO" }
    Thrift = "thrift" { extensions: "thrift" }
    Toml = "toml" { extensions: "toml", files: "Cargo.lock poetry.lock uv.lock pdm.lock Pipfile" }
    Tsv = "tsv" { extensions: "tsv" }
    Verilog = "verilog" { extensions: "v vh sv svh" }
    Vhdl = "vhdl" { extensions: "vhd vhdl" }
    VimScript = "vim_script" { extensions: "vim", files: ".vimrc" }
    VisualBasic = "visual_basic" { extensions: "vb bas" }
    Vue = "vue" { extensions: "vue" }
    Wat = "wat" { extensions: "wat wast" }
    Xml = "xml" { extensions: "xml xsd xsl xslt svg wsdl plist csproj fsproj vbproj resx" }
    Yaml = "yaml" { extensions: "yaml yml", files: ".clang-format .clang-tidy" }
    Zig = "zig" { extensions: "zig zon" }
}
