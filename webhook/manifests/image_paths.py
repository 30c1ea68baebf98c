"""Where each kind has images: the kinds of Kubernetes, and those of common operators.

A path leads to an image, a container, a Pod's spec, or a Pod or template with a spec. The paths of
operators are those of their CRDs. Only fields that hold a whole image reference are in the table:
not those for a repository without its tag, nor names of images that are built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from webhook.objects import POD_SPEC_PATHS

__all__ = [
    "ALL_ITEMS",
    "GROUPS",
    "OPERATOR_PATHS",
    "PARAMETERS",
    "ImagePath",
    "InvalidImagePathError",
    "get_built_in_paths",
]

# The API groups of the kinds in `POD_SPEC_PATHS`; others have kinds of the same names
# (Volcano's Job) whose objects look different.
GROUPS: Final = frozenset({"", "apps", "batch", "extensions"})
ALL_ITEMS: Final = "*"
STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\*|[0-9]+)?\]")

# In these groups an image may be a parameter, which gets its value in the cluster.
PARAMETERS: Final = {
    "argoproj.io": re.compile(r"\{\{(?:=.*|\s*\w[\w.-]*\s*)\}\}", re.DOTALL),
    "shipwright.io": re.compile(r"\$\("),
    "tekton.dev": re.compile(r"\$\("),
}


class InvalidImagePathError(ValueError):
    """A text is not an image path; the message says what is expected."""


@dataclass(frozen=True, slots=True)
class ImagePath:
    """Where a custom kind has images.

    Attributes:
        kind: The kind.
        group: Its API group; empty for any.
        steps: Keys and indices on the way there; ``*`` is every item of a list, and every
            value of a mapping.
    """

    kind: str
    group: str
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ImagePath:
        """Parse ``KIND[.GROUP]=PATH``, such as ``Rollout.argoproj.io=spec.template``.

        Raises:
            InvalidImagePathError: The text has another form.
        """
        kind, equals, path = text.partition("=")
        name, _, group = kind.partition(".")
        steps = tuple(key or index or ALL_ITEMS for key, index in STEP.findall(path))
        if not name or not equals or not steps or STEP.sub("", path):
            problem = (
                f"{text!r} is not KIND[.GROUP]=PATH, "
                "as in Rollout.argoproj.io=spec.template or Tool=spec.images[*].name"
            )
            raise InvalidImagePathError(problem)
        return cls(name, group, steps)

    def __str__(self) -> str:
        name = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{name}={'.'.join(self.steps).replace('.*', '[*]')}"

    def is_for(self, kind: str, group: str) -> bool:
        """Return whether objects of a kind have images there."""
        return kind == self.kind and self.group in ("", group)


@cache
def get_built_in_paths(kind: str, group: str) -> tuple[ImagePath, ...]:
    """Return where a kind has images, without any options."""
    known = POD_SPEC_PATHS.get(kind) if group in GROUPS else None
    if known is not None:
        return (ImagePath(kind, group, known[:-1]),)
    name = f"{kind}.{group}"
    return tuple(ImagePath.parse(f"{name}={path}") for path in OPERATOR_PATHS.get(name, "").split())


def _below(prefix: str, paths: str) -> str:
    return " ".join(f"{prefix}.{path}" for path in paths.split())


CONTAINERS: Final = "containers[*] initContainers[*] volumes[*].image.reference"

# Argo Workflows
STEP_TEMPLATE: Final = (
    "container script containerSet.containers[*] initContainers[*] sidecars[*] "
    "volumes[*].image.reference"
)
WORKFLOW: Final = " ".join(
    [
        _below("templates[*]", STEP_TEMPLATE),
        _below("templates[*].steps[*][*].inline", STEP_TEMPLATE),
        _below("templates[*].dag.tasks[*].inline", STEP_TEMPLATE),
        _below("templateDefaults", STEP_TEMPLATE),
        "executorPlugins[*].spec.sidecar.container",
        "volumes[*].image.reference",
    ]
)
# Tekton
TASK: Final = "steps[*] stepTemplate sidecars[*] volumes[*].image.reference"
PIPELINE: Final = f"{_below('tasks[*].taskSpec', TASK)} {_below('finally[*].taskSpec', TASK)}"
# Prometheus operator
MONITORING: Final = f"image {CONTAINERS}"
# OpenTelemetry
COLLECTOR: Final = (
    "image additionalContainers[*] initContainers[*] volumes[*].image.reference "
    "targetAllocator.image"
)
# Flink, Spark, Ray
FLINK: Final = "image podTemplate jobManager.podTemplate taskManager.podTemplate"
SPARK_POD: Final = "image template initContainers[*] sidecars[*]"
SPARK: Final = f"image {_below('driver', SPARK_POD)} {_below('executor', SPARK_POD)}"
RAY: Final = (
    "headGroupSpec.template workerGroupSpecs[*].template autoscalerOptions.image "
    "historyServerOptions.collectorOptions.image"
)
# KServe
PREDICTOR: Final = "predictor predictor.model predictor.workerSpec transformer explainer"
INFERENCE: Final = (
    "template worker prefill.template prefill.worker router.scheduler.template "
    "router.scheduler.tokenizer.template"
)
# Redis and databases
REDIS: Final = "kubernetesConfig.image redisExporter.image initContainer.image sidecars[*]"
REDIS_POD: Final = "image exporter.image initContainers[*] extraContainers[*]"
MEMBERS: Final = "sidecars[*] arbiter.sidecars[*] hidden.sidecars[*] nonvoting.sidecars[*]"
# KubeVirt
MACHINE: Final = "volumes[*].containerDisk.image domain.firmware.kernelBoot.container.image"

# By kind and API group; the paths are separated by blanks.
OPERATOR_PATHS: Final = {
    # Argo Rollouts
    "Rollout.argoproj.io": "spec.template",
    "Experiment.argoproj.io": "spec.templates[*].template",
    "AnalysisTemplate.argoproj.io": "spec.metrics[*].provider.job.spec.template",
    "ClusterAnalysisTemplate.argoproj.io": "spec.metrics[*].provider.job.spec.template",
    "AnalysisRun.argoproj.io": "spec.metrics[*].provider.job.spec.template",
    # Argo Workflows
    "Workflow.argoproj.io": _below("spec", WORKFLOW),
    "WorkflowTemplate.argoproj.io": _below("spec", WORKFLOW),
    "ClusterWorkflowTemplate.argoproj.io": _below("spec", WORKFLOW),
    "CronWorkflow.argoproj.io": _below("spec.workflowSpec", WORKFLOW),
    # OpenKruise
    "CloneSet.apps.kruise.io": "spec.template",
    "StatefulSet.apps.kruise.io": "spec.template",
    "DaemonSet.apps.kruise.io": "spec.template",
    "BroadcastJob.apps.kruise.io": "spec.template",
    "EphemeralJob.apps.kruise.io": "spec.template",
    "AdvancedCronJob.apps.kruise.io": (
        "spec.template.jobTemplate.spec.template spec.template.broadcastJobTemplate.spec.template "
        "spec.template.imageListPullJobTemplate.spec.images[*]"
    ),
    "SidecarSet.apps.kruise.io": (
        f"{_below('spec', CONTAINERS)} spec.containers[*].upgradeStrategy.hotUpgradeEmptyImage"
    ),
    "ImagePullJob.apps.kruise.io": "spec.image",
    "ImageListPullJob.apps.kruise.io": "spec.images[*]",
    "UnitedDeployment.apps.kruise.io": (
        "spec.template.statefulSetTemplate.spec.template "
        "spec.template.advancedStatefulSetTemplate.spec.template "
        "spec.template.cloneSetTemplate.spec.template "
        "spec.template.deploymentTemplate.spec.template"
    ),
    "GameServerSet.game.kruise.io": "spec.gameServerTemplate",
    # Tekton
    "Task.tekton.dev": _below("spec", TASK),
    "ClusterTask.tekton.dev": _below("spec", TASK),
    "TaskRun.tekton.dev": _below("spec.taskSpec", TASK),
    "StepAction.tekton.dev": "spec.image",
    "Pipeline.tekton.dev": _below("spec", PIPELINE),
    "PipelineRun.tekton.dev": _below("spec.pipelineSpec", PIPELINE),
    # Shipwright
    "BuildStrategy.shipwright.io": "spec.steps[*] spec.buildSteps[*]",
    "ClusterBuildStrategy.shipwright.io": "spec.steps[*] spec.buildSteps[*]",
    # Knative
    "Service.serving.knative.dev": "spec.template",
    "Configuration.serving.knative.dev": "spec.template",
    "Revision.serving.knative.dev": "spec",
    "ContainerSource.sources.knative.dev": "spec.template",
    # Prometheus operator
    "Prometheus.monitoring.coreos.com": f"{_below('spec', MONITORING)} spec.thanos.image",
    "PrometheusAgent.monitoring.coreos.com": _below("spec", MONITORING),
    "Alertmanager.monitoring.coreos.com": _below("spec", MONITORING),
    "ThanosRuler.monitoring.coreos.com": _below("spec", MONITORING),
    # Observability
    "Grafana.grafana.integreatly.org": "spec.deployment.spec.template",
    "OpenTelemetryCollector.opentelemetry.io": _below("spec", COLLECTOR),
    "TargetAllocator.opentelemetry.io": _below("spec", COLLECTOR),
    "OpAMPBridge.opentelemetry.io": "spec.image",
    "Instrumentation.opentelemetry.io": _below(
        "spec",
        "java.image java.extensions[*].image nodejs.image python.image dotnet.image go.image "
        "apacheHttpd.image nginx.image",
    ),
    "Jaeger.jaegertracing.io": _below(
        "spec",
        "allInOne.image agent.image collector.image ingester.image query.image "
        "storage.cassandraCreateSchema.image storage.dependencies.image "
        "storage.elasticsearch.image storage.esIndexCleaner.image storage.esRollover.image "
        "storage.grpcPlugin.image",
    ),
    "FluentBit.fluentbit.fluent.io": "spec.image spec.initContainers[*]",
    "Collector.fluentbit.fluent.io": "spec.image",
    "Fluentd.fluentd.fluent.io": "spec.image",
    # Elastic
    "Elasticsearch.elasticsearch.k8s.elastic.co": "spec.image spec.nodeSets[*].podTemplate",
    "Kibana.kibana.k8s.elastic.co": "spec.image spec.podTemplate",
    "Logstash.logstash.k8s.elastic.co": "spec.image spec.podTemplate",
    "ApmServer.apm.k8s.elastic.co": "spec.image spec.podTemplate",
    "EnterpriseSearch.enterprisesearch.k8s.elastic.co": "spec.image spec.podTemplate",
    "ElasticMapsServer.maps.k8s.elastic.co": "spec.image spec.podTemplate",
    "Beat.beat.k8s.elastic.co": (
        "spec.image spec.daemonSet.podTemplate spec.deployment.podTemplate"
    ),
    "Agent.agent.k8s.elastic.co": (
        "spec.image spec.daemonSet.podTemplate spec.deployment.podTemplate "
        "spec.statefulSet.podTemplate"
    ),
    # Databases and messaging
    "Cluster.postgresql.cnpg.io": "spec.imageName spec.postgresql.extensions[*].image.reference",
    "ImageCatalog.postgresql.cnpg.io": "spec.images[*].image spec.componentImages[*].image",
    "ClusterImageCatalog.postgresql.cnpg.io": "spec.images[*].image spec.componentImages[*].image",
    "Pooler.postgresql.cnpg.io": "spec.template spec.pgbouncer.image",
    "PostgresCluster.postgres-operator.crunchydata.com": _below(
        "spec",
        "image instances[*].containers[*] backups.pgbackrest.image instrumentation.image "
        "monitoring.pgmonitor.exporter.image proxy.pgBouncer.image proxy.pgBouncer.containers[*] "
        "userInterface.pgAdmin.image",
    ),
    "PGAdmin.postgres-operator.crunchydata.com": "spec.image spec.instrumentation.image",
    "PGUpgrade.postgres-operator.crunchydata.com": "spec.image",
    "postgresql.acid.zalan.do": _below(
        "spec", "dockerImage connectionPooler.dockerImage initContainers[*] sidecars[*]"
    ),
    "OperatorConfiguration.acid.zalan.do": _below(
        "configuration",
        "docker_image sidecars[*] connection_pooler.connection_pooler_image "
        "logical_backup.logical_backup_docker_image scalyr.scalyr_image",
    ),
    "PerconaXtraDBCluster.pxc.percona.com": _below(
        "spec",
        "pxc.image pxc.sidecars[*] haproxy.image haproxy.sidecars[*] proxysql.image "
        "proxysql.sidecars[*] backup.image logcollector.image pmm.image initImage "
        "initContainer.image",
    ),
    "PerconaServerMongoDB.psmdb.percona.com": " ".join(
        [
            _below(
                "spec", "image initImage backup.image pmm.image logcollector.image search.image"
            ),
            _below("spec.replsets[*]", MEMBERS),
            _below("spec.sharding.configsvrReplSet", MEMBERS),
            "spec.sharding.mongos.sidecars[*]",
        ]
    ),
    "MariaDB.k8s.mariadb.com": _below(
        "spec",
        "image initContainers[*] sidecarContainers[*] metrics.exporter.image galera.agent.image "
        "galera.initContainer.image replication.agent.image replication.initContainer.image",
    ),
    "MaxScale.k8s.mariadb.com": "spec.image spec.metrics.exporter.image",
    "CassandraDatacenter.cassandra.datastax.com": _below(
        "spec", "serverImage configBuilderImage systemLoggerImage podTemplateSpec"
    ),
    "ClickHouseInstallation.clickhouse.altinity.com": "spec.templates.podTemplates[*]",
    "ClickHouseInstallationTemplate.clickhouse.altinity.com": "spec.templates.podTemplates[*]",
    "ClickHouseKeeperInstallation.clickhouse-keeper.altinity.com": (
        "spec.templates.podTemplates[*]"
    ),
    "Redis.redis.redis.opstreelabs.in": _below("spec", REDIS),
    "RedisCluster.redis.redis.opstreelabs.in": _below("spec", REDIS),
    "RedisReplication.redis.redis.opstreelabs.in": f"{_below('spec', REDIS)} spec.sentinel.image",
    "RedisSentinel.redis.redis.opstreelabs.in": _below("spec", REDIS),
    "RedisFailover.databases.spotahome.com": (
        f"{_below('spec.redis', REDIS_POD)} {_below('spec.sentinel', REDIS_POD)}"
    ),
    "RabbitmqCluster.rabbitmq.com": (
        "spec.image spec.override.statefulSet.spec.template "
        "spec.secretBackend.vault.defaultUserUpdaterImage"
    ),
    "Kafka.kafka.strimzi.io": _below(
        "spec",
        "kafka.image kafka.brokerRackInitImage zookeeper.image cruiseControl.image "
        "kafkaExporter.image entityOperator.topicOperator.image entityOperator.userOperator.image",
    ),
    "KafkaConnect.kafka.strimzi.io": "spec.image spec.clientRackInitImage",
    "KafkaMirrorMaker2.kafka.strimzi.io": "spec.image spec.clientRackInitImage",
    "KafkaBridge.kafka.strimzi.io": "spec.image spec.clientRackInitImage",
    # Storage
    "CephCluster.ceph.rook.io": "spec.cephVersion.image",
    "CephNFS.ceph.rook.io": "spec.server.image spec.security.sssd.sidecar.image",
    "CephNVMeOFGateway.ceph.rook.io": "spec.image",
    "CephCOSIDriver.ceph.rook.io": "spec.image spec.objectProvisionerImage",
    "Tenant.minio.min.io": _below(
        "spec", "image kes.image initContainers[*] sideCars.containers[*]"
    ),
    # Batch, data and machine learning
    "ScaledJob.keda.sh": "spec.jobTargetRef.template",
    "Job.batch.volcano.sh": "spec.tasks[*].template",
    "CronJob.batch.volcano.sh": "spec.jobTemplate.spec.tasks[*].template",
    "JobTemplate.flow.volcano.sh": "spec.tasks[*].template",
    "JobFlow.flow.volcano.sh": "spec.flows[*].patch.jobSpec.tasks[*].template",
    "JobSet.jobset.x-k8s.io": "spec.replicatedJobs[*].template.spec.template",
    "LeaderWorkerSet.leaderworkerset.x-k8s.io": (
        "spec.leaderWorkerTemplate.leaderTemplate spec.leaderWorkerTemplate.workerTemplate"
    ),
    "FlinkDeployment.flink.apache.org": _below("spec", FLINK),
    "FlinkBlueGreenDeployment.flink.apache.org": _below("spec.template.spec", FLINK),
    "SparkApplication.sparkoperator.k8s.io": _below("spec", SPARK),
    "ScheduledSparkApplication.sparkoperator.k8s.io": _below("spec.template", SPARK),
    "SparkConnect.sparkoperator.k8s.io": "spec.image spec.server.template spec.executor.template",
    "RayCluster.ray.io": _below("spec", RAY),
    "RayJob.ray.io": f"{_below('spec.rayClusterSpec', RAY)} spec.submitterPodTemplate",
    "RayService.ray.io": _below("spec.rayClusterConfig", RAY),
    "RayCronJob.ray.io": (
        f"{_below('spec.jobTemplate.rayClusterSpec', RAY)} spec.jobTemplate.submitterPodTemplate"
    ),
    "Notebook.kubeflow.org": "spec.template",
    "TFJob.kubeflow.org": "spec.tfReplicaSpecs.*.template",
    "PyTorchJob.kubeflow.org": "spec.pytorchReplicaSpecs.*.template",
    "MPIJob.kubeflow.org": "spec.mpiReplicaSpecs.*.template",
    "XGBoostJob.kubeflow.org": "spec.xgbReplicaSpecs.*.template",
    "PaddleJob.kubeflow.org": "spec.paddleReplicaSpecs.*.template",
    "JAXJob.kubeflow.org": "spec.jaxReplicaSpecs.*.template",
    "TrainJob.trainer.kubeflow.org": "spec.trainer.image",
    "TrainingRuntime.trainer.kubeflow.org": (
        "spec.template.spec.replicatedJobs[*].template.spec.template"
    ),
    "ClusterTrainingRuntime.trainer.kubeflow.org": (
        "spec.template.spec.replicatedJobs[*].template.spec.template"
    ),
    "InferenceService.serving.kserve.io": _below("spec", PREDICTOR),
    "ServingRuntime.serving.kserve.io": f"{_below('spec', CONTAINERS)}",
    "ClusterServingRuntime.serving.kserve.io": f"{_below('spec', CONTAINERS)}",
    "ClusterStorageContainer.serving.kserve.io": "spec.container",
    "LLMInferenceService.serving.kserve.io": _below("spec", INFERENCE),
    "LLMInferenceServiceConfig.serving.kserve.io": _below("spec", INFERENCE),
    # Other
    "DeploymentConfig.apps.openshift.io": "spec.template",
    "AutoscalingRunnerSet.actions.github.com": "spec.template spec.listenerTemplate",
    "RunnerDeployment.actions.summerwind.dev": "spec.template spec.template.spec.image",
    "RunnerSet.actions.summerwind.dev": "spec.image spec.template",
    "GameServer.agones.dev": "spec.template",
    "GameServerSet.agones.dev": "spec.template.spec.template",
    "Fleet.agones.dev": "spec.template.spec.template",
    "EnvoyProxy.gateway.envoyproxy.io": _below(
        "spec.provider.kubernetes",
        "envoyDeployment.container.image envoyDeployment.initContainers[*] "
        "envoyDaemonSet.container.image envoyDaemonSet.initContainers[*]",
    ),
    "VirtualMachine.kubevirt.io": _below("spec.template.spec", MACHINE),
    "VirtualMachineInstance.kubevirt.io": _below("spec", MACHINE),
    "VirtualMachineInstanceReplicaSet.kubevirt.io": _below("spec.template.spec", MACHINE),
    "VirtualMachinePool.pool.kubevirt.io": _below(
        "spec.virtualMachineTemplate.spec.template.spec", MACHINE
    ),
}
