#!/bin/bash
# Everything that the language model's card measures, from the weights that ship (or MODEL=folder).
#   recipes/nano/evaluate/evaluate.sh [STAGE...]
# Into $OUT (out/nano), over what is there; error rates of each kind of recording are in the "groups"
# of results.json. `validation` reads what things are chosen with. Needs .data (README) and .judges
# (audio-eval judges --assemble); two to ten minutes a stage on one thread.
set -euo pipefail
STAGES="speech hearing dit pooling hotwords insertion deletion ablation validation"
for stage in "$@"; do
    [[ " $STAGES " == *" $stage "* ]] || { echo "no stage $stage: $STAGES" >&2; exit 2; }
done
cd "$(dirname "$0")/../../.."
PATH="$PWD/.venv/bin:$PATH"
OUT=${OUT:-out/nano}
HELD=.data/lm-heldout
MODEL=${MODEL:-nano}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$OUT"
[ -f $HELD/asr-valid.jsonl ] || python recipes/nano/evaluate/lm_heldout.py

speak() { # NAME OPTION...: say the held-out texts, and let Whisper hear them
    rm -rf "$OUT/$1"
    uniaudio tts @$HELD/texts -o "$OUT/$1" --model "$MODEL" "${@:2}" > "$OUT/$1.log" 2>&1
    audio-eval score tts --refs $HELD/tts.jsonl --hyps "$OUT/$1" -o "$OUT/$1-score" \
        --judges .judges --metrics "${METRICS:-wer,cer,sim}" --baselines none
}

hear() { # NAME RECORDINGS OPTION...: read recordings
    rm -rf "$OUT/$1"
    uniaudio asr "$HELD/$2" -o "$OUT/$1" --model "$MODEL" "${@:3}" > "$OUT/$1.log" 2>&1
    audio-eval score asr --refs "$HELD/$2.jsonl" --hyps "$OUT/$1" -o "$OUT/$1-score"
}

edits() { # NAME MANIFEST PER_RECORDING COUNTS OPTION: a set of edits, made and scored
    if [ ! -d ".data/edit-$1" ]; then
        # Real recordings are few: a set that is short of what was asked for is still a set.
        audio-eval build "$2" -o ".data/edit-$1" --language en --seed 5 --per-recording "$3" $4 ||
            [ -f ".data/edit-$1/items.jsonl" ]
    fi
    rm -rf "$OUT/edit-$1$5"
    python benchmarks/edit_heldout.py ".data/edit-$1" -o "$OUT/edit-$1$5" --model "$MODEL" $5 |
        tail -n 1
    # Edits that were refused are counted as wrong, and make the exit code 1.
    audio-eval score edit_semantic --refs "$OUT/edit-$1$5/items.jsonl" \
        --hyps "$OUT/edit-$1$5/outputs" -o "$OUT/edit-$1$5-score" --judges .judges \
        --baselines none || [ $? -eq 1 ]
}

grep '"mode": "bulk"' $HELD/asr.jsonl > $HELD/bulk.jsonl
grep -E '"mode": "libri' $HELD/asr.jsonl > $HELD/real.jsonl
grep '"mode": "trained-real' $HELD/asr.jsonl > $HELD/asterisk.jsonl
CHANGES="--count en/insertion/basic/content=9 --count en/insertion/basic/index=9
    --count en/substitution/basic/content=9 --count en/substitution/basic/index=9"
CUTS="--count en/deletion/basic/content=16 --count en/deletion/basic/index=16"
for stage in ${@:-$STAGES}; do
    echo "== $stage"
    case $stage in
        speech) METRICS=wer,cer,sim,dnsmos speak tts ;;
        hearing) hear asr asr ;;
        validation) hear asr-valid asr-valid ;;
        dit) speak dit --head dit ;;
        pooling) speak pooling-tts --compressor pooling; hear pooling asr --compressor pooling ;;
        hotwords)
            python recipes/nano/evaluate/hotwords.py -o "$OUT/hotwords" --model "$MODEL"
            for hints in none said others; do
                audio-eval score context_asr --refs "$OUT/hotwords/items.jsonl" \
                    --hyps "$OUT/hotwords/$hints" -o "$OUT/hotwords-$hints"
            done
            ;;
        insertion)
            edits bulk $HELD/bulk.jsonl 1 "$CHANGES" ""
            edits real $HELD/real.jsonl 8 "$CHANGES" ""
            ;;
        deletion)
            for how in "" --heard; do
                edits deletion $HELD/bulk.jsonl 1 "$CUTS" "$how"
                edits deletion-asterisk $HELD/asterisk.jsonl 8 "$CUTS" "$how"
                edits deletion-real $HELD/real.jsonl 8 "$CUTS" "$how"
            done
            ;;
        ablation)
            rm -rf "$OUT/ablation"
            python recipes/nano/evaluate/ablation.py -o "$OUT/ablation" --model "$MODEL" --limit 20
            for part in "$OUT"/ablation/*; do
                echo "= $part"
                audio-eval score tts --refs "$part/tts.jsonl" --hyps "$part/tts" \
                    -o "$part/tts-score" --judges .judges --metrics wer,cer --baselines none
                audio-eval score asr --refs "$part/asr.jsonl" --hyps "$part/asr" -o "$part/asr-score"
            done
            ;;
    esac
done
