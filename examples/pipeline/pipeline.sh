#!/usr/bin/env bash
# The whole path of a model: train, export, quantise, validate, push model and image, commit, apply.
#
#   VERSION=7 STORE=s3://models/breast-cancer IMAGE=registry.example.com/models/breast-cancer \
#   RUNTIME=fairlead/runtime:0.1.0 REPOSITORY=git@git.example.com:team/models.git \
#   examples/pipeline/pipeline.sh
#
# VERSION     label of the new model on metrics and answers
# STORE       folder of an object store; credentials as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...
# IMAGE       where the image goes, without a tag
# RUNTIME     the runtime image that it is made from
# REPOSITORY  what the cluster is synchronised with; the manifests are in its folder models/
# SERVE_FROM  image (default): the model is in the image. store: pods fetch it from STORE
# BUILDER     what builds images: docker (default), podman or buildah, with its global options
# PUSH        options of its push, such as --tls-verify=false
# NAMESPACE   where it is applied (default: default). Empty: a GitOps tool does it, nothing is applied
# PYTHON      a Python with fairlead[export], which trains (default: python3)
# RUNTIME_PYTHON  a Python with fairlead[runtime], which pushes (default: that of PYTHON)
# WORK        a folder for what is made on the way (default: a temporary one)
set -euo pipefail
: "${VERSION:?}" "${STORE:?}" "${IMAGE:?}" "${RUNTIME:?}" "${REPOSITORY:?}"
python=${PYTHON:-python3} builder=${BUILDER:-docker} namespace=${NAMESPACE-default}
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}
mkdir -p "$work" && cd "$work"
export PYTHONPATH="$here:$here/../..${PYTHONPATH:+:$PYTHONPATH}"
step() { printf '\n==> %s\n' "$*"; }

step "train"
"$python" "$here/train.py" .

step "export: the file answers as PyTorch does, or there is none"
fairlead-runtime export weights.pt float.onnx --entry nets:make \
  --input-shape features=30 --output-names label,probabilities

step "quantise: at most one row in a hundred may be lost"
fairlead-runtime quantize float.onnx model.onnx --mode dynamic --labelled held-out.csv

step "validate: golden examples and latency, as the cluster will once more"
fairlead-runtime validate model.onnx --examples examples.npz --max-latency-ms 50

step "profile: what training saw, to see drift"
fairlead-runtime profile --model model.onnx --data training.csv
digest=sha256:$(sha256sum model.onnx | cut -d' ' -f1)
tag=$VERSION-${digest:7:12}

step "push the model: its digest is in its place, so nothing is ever written over"
"${RUNTIME_PYTHON:-$python}" "$here/push.py" "$STORE/$tag" model.onnx profile.json examples.npz

step "push the image"
# shellcheck disable=SC2086  # a builder may have options
$builder build -q --build-arg "RUNTIME=$RUNTIME" -t "$IMAGE:$tag" -f "$here/Containerfile" .
# shellcheck disable=SC2086
$builder push ${PUSH:-} "$IMAGE:$tag"

step "commit"
case ${SERVE_FROM:-image} in
  image) uri=file:///models/breast-cancer/model.onnx ;;
  store) uri=$STORE/$tag/model.onnx ;;
  *) echo "SERVE_FROM is image or store" >&2; exit 1 ;;
esac
rm -rf repository && git clone -q "$REPOSITORY" repository
mkdir -p repository/models
sed -e "s|@URI@|$uri|" -e "s|@VERSION@|$VERSION|" -e "s|@DIGEST@|$digest|" \
  -e "s|@IMAGE@|$IMAGE:$tag|" -e 1d "$here/modeldeployment.yaml.in" > repository/models/breast-cancer.yaml
git -C repository add models
if git -C repository diff --cached --quiet; then
  echo "the repository says so already"
else
  git -C repository commit -q -m "breast-cancer: version $VERSION ($tag)"
  git -C repository push -q origin HEAD
fi
git -C repository log --oneline -1

if [ -n "$namespace" ]; then
  step "apply what is in Git, and nothing else"
  rm -rf applied && git clone -q "$REPOSITORY" applied
  kubectl -n "$namespace" apply -f applied/models
fi
