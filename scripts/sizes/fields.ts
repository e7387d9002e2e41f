import ts from "typescript";

/** The types of a tree by their names, to look up what others are made of. */
export type TypesByName = ReadonlyMap<string, readonly TypeDeclaration[]>;

export type TypeDeclaration = ts.InterfaceDeclaration | ts.TypeAliasDeclaration;

export function typesByName(sources: Iterable<ts.SourceFile>): TypesByName {
  const found = new Map<string, TypeDeclaration[]>();
  for (const source of sources) {
    const visit = (node: ts.Node) => {
      if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) {
        const { text } = node.name;
        found.set(text, [...found.get(text) ?? [], node]);
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/**
 * The names of the fields that a value of a type has, with those of the types that it extends or
 * joins; methods count. What is not written down as fields has none: unions, arrays, types of
 * libraries. Names that several files give to different types mean the one in the same file, and
 * else nothing.
 */
export function fieldsOf(type: ts.Node, types: TypesByName): ReadonlySet<string> {
  if (ts.isInterfaceDeclaration(type)) {
    const parents = (type.heritageClauses ?? []).flatMap((clause) => [...clause.types]);
    return union([members(type.members), ...parents.map((parent) => fieldsOf(parent, types))]);
  }
  if (ts.isTypeAliasDeclaration(type)) return fieldsOf(type.type, types);
  if (ts.isTypeLiteralNode(type)) return members(type.members);
  if (ts.isParenthesizedTypeNode(type)) return fieldsOf(type.type, types);
  if (ts.isIntersectionTypeNode(type)) {
    return union(type.types.map((part) => fieldsOf(part, types)));
  }
  if (ts.isTypeReferenceNode(type) || ts.isExpressionWithTypeArguments(type)) {
    return referenced(type, types);
  }
  return new Set();
}

/** The fields of what is named, `Pick`, `Omit` and what leaves the fields as they are included. */
function referenced(
  type: ts.TypeReferenceNode | ts.ExpressionWithTypeArguments,
  types: TypesByName,
): ReadonlySet<string> {
  const name = (ts.isTypeReferenceNode(type) ? type.typeName : type.expression).getText();
  const [first, keys] = type.typeArguments ?? [];
  if (first && ["Partial", "Required", "Readonly"].includes(name)) return fieldsOf(first, types);
  if (first && keys && name === "Pick") return literals(keys);
  if (first && keys && name === "Omit") {
    const left = new Set(fieldsOf(first, types));
    for (const key of literals(keys)) left.delete(key);
    return left;
  }
  const named = types.get(name) ?? [];
  const here = named.filter((each) => each.getSourceFile() === type.getSourceFile());
  const [only, ...others] = here.length > 0 ? here : named;
  return only && others.length === 0 && !isInside(type, only) ? fieldsOf(only, types) : new Set();
}

function members(nodes: readonly ts.TypeElement[]): ReadonlySet<string> {
  return new Set(nodes.flatMap(({ name }) => name ? [name.getText()] : []));
}

/** The names in `"a" | "b"`. */
function literals(type: ts.TypeNode): ReadonlySet<string> {
  const parts = ts.isUnionTypeNode(type) ? type.types : [type];
  return new Set(
    parts.flatMap((part) =>
      ts.isLiteralTypeNode(part) && ts.isStringLiteral(part.literal) ? [part.literal.text] : []
    ),
  );
}

/** A type that names itself, e.g. a tree, is not taken apart again. */
function isInside(node: ts.Node, ancestor: ts.Node): boolean {
  return node === ancestor || (node.parent !== undefined && isInside(node.parent, ancestor));
}

function union(sets: readonly ReadonlySet<string>[]): ReadonlySet<string> {
  return new Set(sets.flatMap((set) => [...set]));
}
