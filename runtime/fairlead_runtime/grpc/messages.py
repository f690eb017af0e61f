"""The messages and services of gRPC that are served: inference, health and reflection."""

from __future__ import annotations

from fairlead_runtime.grpc.schema import define

INFERENCE_SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"
REFLECTION_SERVICES = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)

INFERENCE = define(
    "inference",
    """
    ServerLiveRequest
    ServerLiveResponse
        one bool live 1
    ServerReadyRequest
    ServerReadyResponse
        one bool ready 1
    ModelReadyRequest
        one string name 1
        one string version 2
    ModelReadyResponse
        one bool ready 1
    ServerMetadataRequest
    ServerMetadataResponse
        one string name 1
        one string version 2
        many string extensions 3
    ModelMetadataRequest
        one string name 1
        one string version 2
    ModelMetadataResponse
        one string name 1
        many string versions 2
        one string platform 3
        many ModelMetadataResponse.TensorMetadata inputs 4
        many ModelMetadataResponse.TensorMetadata outputs 5
    ModelMetadataResponse.TensorMetadata
        one string name 1
        one string datatype 2
        many int64 shape 3
    InferParameter
        parameter_choice? bool bool_param 1
        parameter_choice? int64 int64_param 2
        parameter_choice? string string_param 3
        parameter_choice? double double_param 4
        parameter_choice? uint64 uint64_param 5
    InferTensorContents
        many bool bool_contents 1
        many int32 int_contents 2
        many int64 int64_contents 3
        many uint32 uint_contents 4
        many uint64 uint64_contents 5
        many float fp32_contents 6
        many double fp64_contents 7
        many bytes bytes_contents 8
    ModelInferRequest
        one string model_name 1
        one string model_version 2
        one string id 3
        map InferParameter parameters 4
        many ModelInferRequest.InferInputTensor inputs 5
        many ModelInferRequest.InferRequestedOutputTensor outputs 6
        many bytes raw_input_contents 7
    ModelInferRequest.InferInputTensor
        one string name 1
        one string datatype 2
        many int64 shape 3
        map InferParameter parameters 4
        one InferTensorContents contents 5
    ModelInferRequest.InferRequestedOutputTensor
        one string name 1
        map InferParameter parameters 2
    ModelInferResponse
        one string model_name 1
        one string model_version 2
        one string id 3
        map InferParameter parameters 4
        many ModelInferResponse.InferOutputTensor outputs 5
        many bytes raw_output_contents 6
    ModelInferResponse.InferOutputTensor
        one string name 1
        one string datatype 2
        many int64 shape 3
        map InferParameter parameters 4
        one InferTensorContents contents 5
    """,
    {
        "GRPCInferenceService": """
        ServerLive ServerLiveRequest ServerLiveResponse
        ServerReady ServerReadyRequest ServerReadyResponse
        ModelReady ModelReadyRequest ModelReadyResponse
        ServerMetadata ServerMetadataRequest ServerMetadataResponse
        ModelMetadata ModelMetadataRequest ModelMetadataResponse
        ModelInfer ModelInferRequest ModelInferResponse
        """
    },
)

HEALTH = define(
    "grpc.health.v1",
    """
    HealthCheckRequest
        one string service 1
    HealthCheckResponse
        enum ServingStatus UNKNOWN SERVING NOT_SERVING SERVICE_UNKNOWN
        one ServingStatus status 1
    """,
    {
        "Health": """
        Check HealthCheckRequest HealthCheckResponse
        Watch HealthCheckRequest stream HealthCheckResponse
        """
    },
)

_REFLECTION = """
    ExtensionRequest
        one string containing_type 1
        one int32 extension_number 2
    ServerReflectionRequest
        one string host 1
        message_request? string file_by_filename 3
        message_request? string file_containing_symbol 4
        message_request? ExtensionRequest file_containing_extension 5
        message_request? string all_extension_numbers_of_type 6
        message_request? string list_services 7
    FileDescriptorResponse
        many bytes file_descriptor_proto 1
    ExtensionNumberResponse
        one string base_type_name 1
        many int32 extension_number 2
    ServiceResponse
        one string name 1
    ListServiceResponse
        many ServiceResponse service 1
    ErrorResponse
        one int32 error_code 1
        one string error_message 2
    ServerReflectionResponse
        one string valid_host 1
        one ServerReflectionRequest original_request 2
        message_response? FileDescriptorResponse file_descriptor_response 4
        message_response? ExtensionNumberResponse all_extension_numbers_response 5
        message_response? ListServiceResponse list_services_response 6
        message_response? ErrorResponse error_response 7
    """
_REFLECTION_METHODS = {
    "ServerReflection": """
    ServerReflectionInfo stream ServerReflectionRequest stream ServerReflectionResponse
    """
}
REFLECTION = {
    name: define(name.rpartition(".")[0], _REFLECTION, _REFLECTION_METHODS)
    for name in REFLECTION_SERVICES
}
