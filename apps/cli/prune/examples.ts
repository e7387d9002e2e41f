/** For the end of the help text. */
export const PRUNE_EXAMPLES = `
Examples:
  lopper prune                                       the embedded model, 20 % smaller
  lopper prune ./SmolLM2-135M --ratio 10 --out ./smol-10
  lopper prune HuggingFaceTB/SmolLM2-135M            of the hub, downloaded into its cache
  lopper prune ./SmolLM2-135M --target-bytes 200MB   as much as it takes to fit into that
  lopper prune ./SmolLM2-135M --target-latency 25    until a token takes 25 ms on this machine
  lopper prune ./SmolLM2-135M --preset blockpruner --calibration notes.txt
  lopper prune ./SmolLM2-135M --uniform              layers stay alike: a plain llama, a little smaller
  lopper prune ./SmolLM2-135M --calibration self     on text that the model writes itself
  lopper prune ./SmolLM2-135M --calibration code.jsonl=3 --calibration chat.jsonl=1   a mixture
  lopper prune model.gguf --ratio 20                 the result is a folder, in F16
  lopper prune model.gguf --export gguf --quantize q8_0   and a GGUF file beside it
  lopper prune ./SmolLM2-135M --workers redis://queue.local   other machines score (lopper worker)
  lopper prune --resume --out ./smol-10              after a power cut or Ctrl-C
  lopper prune --resume --out ./smol-10 --ratio 20   goes on from 10 % to 20 %
  lopper prune ./SmolLM2-135M --plan ./smol-10/lopper_plan.json --out ./again
  lopper prune ./SmolLM2-135M --plan ./smol-20 --ratio 15 --out ./smol-15
                                                     a part of that run, without a search
  lopper prune ./SmolLM2-135M --ratio 40 --held-out notes.txt --max-ppl-increase 10%
`;
