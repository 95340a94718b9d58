#!/usr/bin/env bash
# Everything that needs a GPU, in under ten minutes; leaves JSON in the folder that is given (default: gpu-results).
# It was written without a GPU at hand and HAS NOT RUN on one: read what it prints.
#
#   pip install -e '.[torch,benchmarks]' triton && examples/on_a_gpu.sh
#
# Exit codes of refconv: 0 correct, 1 wrong, 4 usage error, 5 too little verified. A line for each step stands in
# summary.txt. Each step has a limit of its own, so that one which hangs costs the others nothing.
set -uo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-gpu-results}")
mkdir -p "$out"
: >"$out/summary.txt"
missed=0

step() { # NAME SECONDS EXPECTED-EXIT-CODE COMMAND...
    local name=$1 limit=$2 expected=$3
    shift 3
    timeout "$limit" "$@" >"$out/$name.txt" 2>&1
    local code=$?
    [ "$code" = "$expected" ] || missed=$((missed + 1))
    echo "$name: exit code $code, expected $expected" | tee -a "$out/summary.txt"
}

check() { # NAME SECONDS EXPECTED-EXIT-CODE OPTIONS...
    local name=$1 limit=$2 expected=$3
    shift 3
    step "$name" "$limit" "$expected" refconv check "$@" --device cuda --json "$out/$name.json" --failures "$out/$name"
}

cuda=(torch --operation conv2d --dtype float32)
nvidia-smi >"$out/nvidia-smi.txt" 2>&1
python -c "import torch; assert torch.cuda.is_available(), 'no GPU'" || exit 4

# cuDNN with TF32 switched off, and as it is by default, where it has to be claimed.
NVIDIA_TF32_OVERRIDE=0 check cudnn-without-tf32 75 0 "${cuda[@]}"
check cudnn-tf32-claimed 75 0 "${cuda[@]}" --input-rounding tf32 --accumulate tensor-core
# The modes of cuDNN, and PyTorch's own kernels.
for mode in nocudnn cudnn-benchmark cudnn-deterministic cudnn-tf32; do
    check "$mode" 25 0 "torch-$mode" --operation conv2d --dtype float32
done
# Canaries: what must be convicted. TF32 that is not claimed; a kernel whose borders are wrong.
check canary-tf32-unclaimed 75 1 "${cuda[@]}"
check canary-borders 45 1 examples/triton_conv2d_first.py --dtype float32
# The kernel itself, and how fast it is beside cuDNN.
check triton 75 0 examples/triton_conv2d.py --dtype float32
step bench 75 0 refconv bench examples/triton_conv2d.py --operation conv2d --layer dense --dtype float32 \
    --device cuda --json "$out/bench.json"
step asv 55 0 asv run --quick --python=same --bench 'PyTorch|DeviceTime'

echo "$missed steps did not end as expected; see $out/summary.txt"
[ "$missed" = 0 ]
