"""Other dtypes for a model that is made of its configuration."""

import keras

from keras_bidalle.messages import shown


def policy_of(**argument):
    """The serialized policy that an argument names."""
    ((name, dtype),) = argument.items()
    try:
        policy = keras.dtype_policies.get(dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must be a policy such as 'bfloat16'. "
            f"Received: {name}={shown(dtype)}"
        ) from error
    if type(policy) is keras.DTypePolicy:
        # Keras' own way imports TensorFlow, whichever the backend.
        return {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": policy.name},
            "registered_name": None,
        }
    return keras.saving.serialize_keras_object(policy)


def set_dtype(node, policy):
    """Puts another policy into a configuration and those inside it."""
    if isinstance(node, list):
        for part in node:
            set_dtype(part, policy)
    if not isinstance(node, dict) or node.get("class_name") == "DTypePolicy":
        return
    if "class_name" in node and "dtype" in (node.get("config") or {}):
        node["config"]["dtype"] = policy
    for part in node.values():
        set_dtype(part, policy)
