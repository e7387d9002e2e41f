import { picturedLayers } from "@lopper/report/picture";
import type { Layers } from "../tasks/protocol.ts";

/** What stays of each layer. */
export function LayersPicture(props: { readonly layers: Layers }) {
  const { sizes, frontier, plan } = props.layers;
  const { picture, description } = picturedLayers({ layers: sizes, frontier, swaps: [] }, plan);
  return (
    <figure>
      <figcaption>What stays of each layer</figcaption>
      {/* Every text in it was escaped where it was made. */}
      <div dangerouslySetInnerHTML={{ __html: picture }} />
      <p class="note">{description}</p>
    </figure>
  );
}
