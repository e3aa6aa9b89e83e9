#!/bin/sh
# Builds check.cc with each sanitizer and runs it with each instruction set that this machine has.
set -eu
out=$1
here=$(cd "$(dirname "$0")/.." && pwd)
cxx=${CXX:-c++}
command -v "$cxx" >/dev/null 2>&1 || { echo "no C++ compiler ($cxx) was found: the kernels are not checked"; exit 0; }
mkdir -p "$out"
flags="-std=c++17 -O1 -g -Wall -Wextra -Wno-psabi -fno-sanitize-recover=all"
for sanitizer in address,undefined thread; do
  objects=""
  compile() { # name, vector bytes, flags of the instruction set
    name=$1 bytes=$2
    shift 2
    $cxx $flags "$@" -fsanitize=$sanitizer -DJAXSEQ_ISA="$name" -DJAXSEQ_NAME="\"$name\"" \
      -DJAXSEQ_VECTOR_BYTES="$bytes" -c "$here/src/isa.cc" -o "$out/$name.o"
    objects="$objects $out/$name.o"
  }
  compile portable 16
  sets=portable
  if [ "$(uname -m)" = x86_64 ]; then
    compile avx2 32 -mavx2 -mfma
    compile avx512 64 -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512
    sets="portable avx2 avx512"
    flags="$flags -DJAXSEQ_X86"
  fi
  $cxx $flags -fsanitize=$sanitizer "$here/tests/check.cc" "$here/src/dispatch.cc" $objects -o "$out/check" -lpthread
  for set in $sets; do
    echo "$sanitizer, $set:"
    JAXSEQ_NATIVE_ISA=$set "$out/check"
  done
done
